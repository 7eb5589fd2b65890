"""Who may do what in the console: one table of paths. What no row names, nobody may."""

import re
from typing import NamedTuple

from trebuchet.model.account import Role

_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}
SAFE = ("GET", "HEAD")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


class Rule(NamedTuple):
    """`*` in the pattern is one part of a path, `**` at its end any number of parts, also none."""

    methods: tuple[str, ...]
    pattern: str
    least: Role | None  # None: anybody, also without login


# The first row that fits decides.
RULES = (
    Rule(SAFE, "/login", None),
    Rule(("POST",), "/login", None),
    Rule(SAFE, "/assets/**", None),
    Rule(SAFE, "/favicon.ico", None),
    Rule(SAFE, "/manifest.webmanifest", None),
    Rule(("POST",), "/logout", Role.VIEWER),
    Rule(SAFE, "/set-up/users/**", Role.ADMIN),
    Rule(SAFE, "/set-up/audit/**", Role.ADMIN),
    Rule(SAFE, "/set-up/**", Role.OPERATOR),
    Rule(UNSAFE, "/set-up/**", Role.ADMIN),
    Rule(SAFE, "/compose/**", Role.OPERATOR),
    Rule(UNSAFE, "/compose/**", Role.OPERATOR),
    Rule(SAFE, "/**", Role.VIEWER),
    Rule(("POST",), "/guide/dismiss", Role.VIEWER),
    Rule(UNSAFE, "/messages/**", Role.OPERATOR),
    Rule(UNSAFE, "/callbacks/**", Role.OPERATOR),
    Rule(UNSAFE, "/catch/*/use", Role.ADMIN),
    Rule(UNSAFE, "/catch/*/*", Role.OPERATOR),
    Rule(UNSAFE, "/carriers/**", Role.OPERATOR),
    Rule(UNSAFE, "/handsets/**", Role.OPERATOR),
)


def least_role(method: str, path: str) -> Role | bool | None:
    """The least role that may; None: anybody; False: nobody."""
    page = path.removesuffix(".json")  # the twin of a page is as open as the page
    for rule, fits in _COMPILED:
        if method in rule.methods and fits.fullmatch(page):
            return rule.least
    return False


def reaches(role: Role, least: Role) -> bool:
    """Whether a role may do what `least` may."""
    return _RANK[role] >= _RANK[least]


def _compiled(pattern: str) -> re.Pattern[str]:
    head, every, _ = pattern.partition("/**")
    parts = "/".join("[^/]+" if part == "*" else re.escape(part) for part in head.split("/"))
    return re.compile(parts + ("(?:/.*)?" if every else ""), re.DOTALL)


_COMPILED = tuple((rule, _compiled(rule.pattern)) for rule in RULES)
