"""Settings from a file on disk."""

from pathlib import Path

import platformdirs
import pytest

from trebuchet.settings import ServerSettings, SettingsError, data_directory, load


def test_a_file_is_read(tmp_path: Path) -> None:
    """The file's values are in force, and its path is their source."""
    path = tmp_path / "gateway.toml"
    path.write_text("[server]\nport = 1001\n")
    loaded = load(path, {}, {})
    assert loaded.settings.server.port == 1001
    assert loaded.sources["server.port"] == f"file {path}"


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    """A path that cannot be read is refused with the reason of the operating system."""
    for path, reason in ((tmp_path / "none.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError) as raised:
            load(path, {}, {})
        assert str(raised.value) == f"file {path}: cannot be read: {reason}. Name a readable TOML file."


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    """A file of the largest size is read; one octet more is refused unparsed."""
    path = tmp_path / "large.toml"
    path.write_bytes(b"#" * 262_144)
    assert load(path, {}, {}).sources["server.port"] == "default"
    path.write_bytes(b"#" * 262_145)
    with pytest.raises(SettingsError) as raised:
        load(path, {}, {})
    assert str(raised.value) == f"file {path}: is too large. The limit is 262144 octets."


def test_the_users_data_directory() -> None:
    """Without a setting, the data folder is what the platform's convention says."""
    assert data_directory(ServerSettings(), platformdirs.user_data_path) == platformdirs.user_data_path(
        "trebuchet", False
    )
