"""The tree is the data path: every module has a level, and imports only point down."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trebuchet

SOURCE = Path(trebuchet.__file__).parent

# Module or folder of the package → level. A module may import lower levels and its own folder.
LEVELS = {
    "model": 0,
    "errors": 0,
    "clock": 0,
    "lifecycle": 0,
    "telemetry": 0,
    "logs": 1,
    "feed": 0,
    "protocols": 0,
    "storage": 1,
    "routing": 1,
    "settings": 1,
    "simulator": 1,
    "webclient": 1,
    "webserver": 1,
    "smtp": 1,
    "tracing": 1,
    "accept": 2,
    "media": 2,
    "outbox": 2,
    "nodes": 2,
    "receipts": 2,
    "inbound": 2,
    "housekeeping": 2,
    "carriers": 2,
    "api": 3,
    "admin": 3,
    "console": 3,
    "dispatch": 3,
    "supervisor": 3,
    "callbacks": 3,
    "app": 4,
    "standing": 4,
    "sharing": 4,
    "kept": 4,
    "process": 4,
    "workers": 4,
    "cli": 5,
    "testing": 5,
    "__main__": 6,
}

# (importer, imported) of one level → why it may.
SAME_LEVEL_ALLOWED = {
    ("simulator", "storage"): "the simulated network keeps its memory as a row type of the storage contract",
    ("simulator", "smtp"): "the simulated MMSC hands mail over and takes it, as any relay does",
    ("simulator", "webclient"): "the simulated MMSC posts MM7",
    ("simulator", "webserver"): "the simulated MMSC takes MM7",
    ("accept", "outbox"): "accepting hands its change to the committer",
    ("receipts", "outbox"): "a receipt is recorded through the committer",
    ("inbound", "outbox"): "an inbound message is stored through the committer",
    ("inbound", "media"): "the files of an inbound message become objects of its account",
    ("media", "outbox"): "objects are stored through the committer",
    ("carriers", "media"): "a link makes the files of a message fit its peer",
    ("media", "carriers"): "the stage that fetches files is run like a link",
    ("inbound", "accept"): "the answer to STOP or HELP is an outbound message",
    ("inbound", "carriers"): "a carrier reports an inbound part in the words of its interface",
    ("admin", "api"): "both speak HTTP: problems and routes have one shape",
    ("console", "admin"): "pages show what the admin API answers, from the same reads",
    ("console", "api"): "both speak HTTP: problems have one shape",
    ("console", "callbacks"): "the body of a callback is made again, to be shown",
    ("nodes", "outbox"): "heartbeats share the committer's transactions",
    ("app", "sharing"): "the composition root builds it",
    ("app", "standing"): "the composition root builds it",
    ("app", "kept"): "the composition root hands it out",
    ("process", "workers"): "the process forks others",
    ("process", "kept"): "the process writes a private file as well",
    ("process", "app"): "the process runs what the composition root built",
    ("supervisor", "dispatch"): "whoever starts a link starts the workers of its lanes",
    ("housekeeping", "outbox"): "sweeps share the committer's transactions",
}

# (importer, imported) that would point down and still be wrong → why.
FORBIDDEN = {
    ("carriers", "storage"): "carriers report through CarrierReports, which commits",
    ("api", "carriers"): "the API accepts; it does not know who delivers",
    ("storage", "protocols"): "storage keeps messages, whatever protocol carried them",
}

# Protocols turn octets into events and back. Whoever drives them owns sockets, time and chance.
NOT_IN_PROTOCOLS = {
    "asyncio",
    "concurrent",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "uuid",
}

# Two SQLite libraries in one process on one file break each other's locks.
SQLITE_LIBRARIES = {"sqlite3", "pysqlite3"}
SQLITE_HOME = "trebuchet.storage.sqlite"


def module_name(path: Path) -> str:
    parts = ["trebuchet", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, *, is_package: bool) -> set[str]:
    """Absolute names of all modules that `source` imports, at any depth, with `from a import b` as `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = node.level - is_package
            base = module.split(".")[: -up or None] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{origin}.{alias.name}" for alias in node.names}
    return found


def part(module: str) -> str:
    """The module or folder directly under the package, or the empty string for the package itself."""
    return module.split(".")[1] if "." in module else ""


def objection(importer: str, imported: str) -> str | None:
    """Why `importer` may not import `imported` (both inside the package), or None."""
    source, target = part(importer), part(imported)
    if source == target:
        return None
    if source not in LEVELS:
        return f"{importer} has no level"
    if target not in LEVELS:
        return None if target.startswith("__") else f"{imported} has no level"
    if (source, target) in FORBIDDEN:
        return FORBIDDEN[source, target]
    if LEVELS[target] < LEVELS[source] or (source, target) in SAME_LEVEL_ALLOWED:
        return None
    return f"level {LEVELS[source]} imports level {LEVELS[target]}"


PROTOCOLS_STAND_ON = {"msgspec", "lxml"}


def protocol_objection(imported: str) -> str | None:
    """Why a module under `protocols` may not import `imported`, or None."""
    top = imported.partition(".")[0]
    if top in NOT_IN_PROTOCOLS:
        return "protocols do no I/O, and know neither time nor chance"
    if (
        top in PROTOCOLS_STAND_ON
        or top in sys.stdlib_module_names
        or imported.startswith("trebuchet.protocols.")
    ):
        return None
    return "protocols stand on the standard library, msgspec and an XML parser alone"


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports_of(module: str) -> set[str]:
    path = MODULES[module]
    return imports(path.read_text("utf-8"), module, is_package=path.name == "__init__.py")


def inner_imports() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        for imported in imports_of(module):
            if imported.startswith("trebuchet."):
                yield module, imported


def test_every_module_has_a_level() -> None:
    """Whoever adds a module says where in the path of a message it stands."""
    assert {part(module) for module in MODULES} - {""} <= set(LEVELS)


def test_every_module_says_what_it_is() -> None:
    """Every file opens with a docstring."""
    silent = [m for m, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []


def test_imports_point_down() -> None:
    """No module imports its own level or a higher one, but for the exceptions with a reason."""
    wrong = [f"{a} → {b}: {why}" for a, b in inner_imports() if (why := objection(a, b))]
    assert wrong == []


def test_exceptions_are_needed() -> None:
    """An exception between two parts that exist is really made, and is of one level."""
    present = {part(module) for module in MODULES}
    made = {(part(a), part(b)) for a, b in inner_imports()}
    stale = [pair for pair in SAME_LEVEL_ALLOWED if set(pair) <= present and pair not in made]
    assert stale == []
    assert [pair for pair in SAME_LEVEL_ALLOWED if LEVELS[pair[0]] != LEVELS[pair[1]]] == []


def test_protocols_do_no_io() -> None:
    """The wire formats import nothing that could open, wait, log or draw lots."""
    wrong = [
        f"{module} → {imported}: {why}"
        for module in MODULES
        if part(module) == "protocols"
        for imported in imports_of(module)
        if (why := protocol_objection(imported))
    ]
    assert wrong == []


def test_only_one_folder_knows_sqlite() -> None:
    """One import of one SQLite library serves the whole process."""
    users = {m for m in MODULES if {name.partition(".")[0] for name in imports_of(m)} & SQLITE_LIBRARIES}
    assert {m for m in users if m != SQLITE_HOME and not m.startswith(f"{SQLITE_HOME}.")} == set()


@pytest.mark.parametrize(
    ("importer", "imported", "refused"),
    [
        ("trebuchet.app", "trebuchet.api.wire", False),
        ("trebuchet.api.wire", "trebuchet.app", True),
        ("trebuchet.carriers.smpp.link", "trebuchet.protocols.smpp.pdu", False),
        ("trebuchet.carriers.smpp.link", "trebuchet.carriers.base", False),
        ("trebuchet.api.messages", "trebuchet.callbacks.payload", True),
        ("trebuchet.accept", "trebuchet.outbox.committer", False),
        ("trebuchet.outbox.worker", "trebuchet.accept", True),
        ("trebuchet.carriers.smpp.link", "trebuchet.storage.base", True),
        ("trebuchet.model.message", "trebuchet.__version__", False),
        ("trebuchet.model.message", "trebuchet.unheard_of", True),
        ("trebuchet.unheard_of", "trebuchet.model.message", True),
        ("trebuchet", "trebuchet.model.message", True),
    ],
)
def test_the_rule_itself(importer: str, imported: str, refused: bool) -> None:
    """Down and sideways within a folder is fine; up, across and unknown is not."""
    assert bool(objection(importer, imported)) is refused


@pytest.mark.parametrize(
    ("imported", "refused"),
    [
        ("struct", False),
        ("collections.abc.Iterator", False),
        ("msgspec.Struct", False),
        ("lxml.etree", False),
        ("trebuchet.protocols.sms.gsm7", False),
        ("trebuchet.model.message", True),
        ("asyncio", True),
        ("os.path", True),
        ("starlette.requests", True),
    ],
)
def test_the_rule_for_protocols_itself(imported: str, refused: bool) -> None:
    """The standard library without I/O, msgspec and the protocols themselves are all there is."""
    assert bool(protocol_objection(imported)) is refused


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a.b, c", {"a.b", "c"}),
        ("from a.b import c, d as e", {"a.b.c", "a.b.d"}),
        ("from . import c", {"trebuchet.x.c"}),
        ("from .c import d", {"trebuchet.x.c.d"}),
        ("from ..c import d", {"trebuchet.c.d"}),
        ("def f():\n    import late", {"late"}),
        ("if TYPE_CHECKING:\n    import typed", {"typed"}),
    ],
)
def test_all_imports_are_seen(source: str, found: set[str]) -> None:
    """Relative, late and type-only imports count like any other, in a module and in a folder's own file."""
    assert imports(source, "trebuchet.x.y", is_package=False) == found
    assert imports(source, "trebuchet.x", is_package=True) == found
