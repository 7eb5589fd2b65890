"""What gets installed is locked, hashed, and says nothing about where it was fetched from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILES = ["run", "dev", "build"]
LOCKED = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; [^\\]+)?")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}")
ORIGIN = re.compile(r"    # via .+|    # via|    #   .+")

with (ROOT / "pyproject.toml").open("rb") as file:
    PROJECT = tomllib.load(file)

RUNTIME = PROJECT["project"]["dependencies"]
EXTRAS = [line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra]
BACKEND = PROJECT["build-system"]["requires"]
DEVELOPMENT = [line for line in PROJECT["dependency-groups"]["dev"] if isinstance(line, str)]


def lines(name: str) -> list[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    return [line.removesuffix(" \\") for line in text.splitlines()]


def versions(name: str) -> dict[str, str]:
    found = (LOCKED.fullmatch(line) for line in lines(name))
    return {match["name"]: match["version"] for match in found if match}


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_a_version_a_hash_or_who_wants_it(name: str) -> None:
    """No option, address or loose version hides in a locked file."""
    assert [ln for ln in lines(name) if not any(kind.fullmatch(ln) for kind in (LOCKED, HASH, ORIGIN))] == []


@pytest.mark.parametrize("name", FILES)
def test_every_version_has_hashes(name: str) -> None:
    """Each locked version is followed by the hash of at least one file."""
    locked = lines(name)
    following = zip(locked, [*locked[1:], ""], strict=True)
    assert [here for here, below in following if LOCKED.fullmatch(here) and not HASH.fullmatch(below)] == []
    assert versions(name)


@pytest.mark.parametrize("name", FILES)
def test_no_registry_is_named(name: str) -> None:
    """Whoever installs chooses where from: no address and no index option is recorded."""
    assert re.findall(r"(?i)://|index|find-links|trusted-host|pypi", "\n".join(lines(name))) == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("run", RUNTIME),
        ("dev", [*RUNTIME, *EXTRAS, *BACKEND, *DEVELOPMENT]),
        ("build", BACKEND),
    ],
)
def test_the_lock_is_fresh(name: str, wanted: list[str]) -> None:
    """Everything that pyproject.toml asks for is locked, at a version that it admits."""
    locked = versions(name)
    needs = [Requirement(text) for text in wanted]
    assert {need.name for need in needs if canonicalize_name(need.name) not in locked} == set()
    refused = {need.name for need in needs if locked[canonicalize_name(need.name)] not in need.specifier}
    assert refused == set()


@pytest.mark.parametrize("name", ["run", "build"])
def test_tests_run_on_the_versions_that_users_get(name: str) -> None:
    """Development installs the same versions as use does, and more."""
    assert versions(name).items() <= versions("dev").items()


def test_the_backend_is_locked_under_its_own_name() -> None:
    """The group that locks the build backend asks for just what the build asks for."""
    assert PROJECT["dependency-groups"]["build"] == BACKEND


def test_the_peers_of_nodejs_are_locked_without_addresses() -> None:
    """The npm lock has a hash for each package and no place to fetch it from."""
    text = (ROOT / "tests/interop/node/package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
    assert text.count('"integrity": "sha') == text.count('"node_modules/')
