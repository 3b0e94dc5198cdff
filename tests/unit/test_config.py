"""Settings of a process: read together, refused with a sentence."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from history.config import Settings
from history.errors import ConfigurationError

KEY = bytes(range(32))
GOOD = {
    "TIDEMARK_DATABASE_URL": "postgresql://user:hush@host/db",
    "TIDEMARK_REDIS_URL": "redis://:hush@host:6379/0",
    "TIDEMARK_MASTER_KEY": base64.b64encode(KEY).decode(),
}


def test_what_is_set_is_read_and_the_rest_has_defaults() -> None:
    """Empty is the same as absent."""
    settings = Settings.from_environ(GOOD | {"TIDEMARK_HOST": "", "TIDEMARK_PORT": ""})
    assert (settings.database_url, settings.redis_url) == (
        GOOD["TIDEMARK_DATABASE_URL"],
        GOOD["TIDEMARK_REDIS_URL"],
    )
    assert (settings.master_key, settings.host, settings.port) == (KEY, "127.0.0.1", 8080)
    assert Settings.from_environ(GOOD | {"TIDEMARK_PORT": "65535"}).port == 65535
    assert settings.processes == 1
    assert Settings.from_environ(GOOD | {"TIDEMARK_PROCESSES": "64"}).processes == 64


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIDEMARK_DATABASE_URL", None),
        ("TIDEMARK_DATABASE_URL", "mysql://hush@host"),
        ("TIDEMARK_REDIS_URL", None),
        ("TIDEMARK_REDIS_URL", "http://hush"),
        ("TIDEMARK_MASTER_KEY", None),
        ("TIDEMARK_MASTER_KEY", "not base64, hush"),
        ("TIDEMARK_MASTER_KEY", base64.b64encode(KEY[:31]).decode()),
        ("TIDEMARK_MEDIA_DIR", "hush/relative"),
        ("TIDEMARK_MEDIA_URL", "https://hush@host"),
        ("TIDEMARK_PORT", "0"),
        ("TIDEMARK_PORT", "65536"),
        ("TIDEMARK_PORT", "-1"),
        ("TIDEMARK_PORT", "http"),
        ("TIDEMARK_PORT", "\uff18\uff10\uff18\uff10"),
        ("TIDEMARK_PROCESSES", "0"),
        ("TIDEMARK_PROCESSES", "65"),
        ("TIDEMARK_PROCESSES", "auto"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_no_secret_is_shown(name: str, value: str | None) -> None:
    """One sentence that says what to set."""
    environ = {key: text for key, text in (GOOD | {name: value}).items() if text is not None}
    with pytest.raises(ConfigurationError, match=rf"{name}\b") as refusal:
        Settings.from_environ(environ)
    assert "hush" not in str(refusal.value)


def test_files_are_in_one_place_or_none() -> None:
    """A folder or a bucket; told neither where nobody looks."""
    assert Settings.from_environ(GOOD | {"TIDEMARK_MEDIA_DIR": "", "TIDEMARK_MEDIA_URL": ""}).media == ""
    assert Settings.from_environ(GOOD | {"TIDEMARK_MEDIA_DIR": "/hush"}).media == "/hush"
    settings = Settings.from_environ(GOOD | {"TIDEMARK_MEDIA_URL": "s3://hush/prefix"})
    assert settings.media == "s3://hush/prefix"
    assert "hush/prefix" not in repr(settings)
    with pytest.raises(ConfigurationError, match="not both"):
        Settings.from_environ(GOOD | {"TIDEMARK_MEDIA_DIR": "/x", "TIDEMARK_MEDIA_URL": "s3://x"})


def test_the_master_key_may_be_in_a_file(tmp_path: Path) -> None:
    """With a newline at its end; one that cannot be read is named."""
    path = tmp_path / "key"
    path.write_text(GOOD["TIDEMARK_MASTER_KEY"] + "\n", encoding="ascii")
    environ = {name: value for name, value in GOOD.items() if name != "TIDEMARK_MASTER_KEY"}
    assert Settings.from_environ(environ | {"TIDEMARK_MASTER_KEY_FILE": str(path)}).master_key == KEY
    with pytest.raises(ConfigurationError, match="TIDEMARK_MASTER_KEY_FILE"):
        Settings.from_environ(environ | {"TIDEMARK_MASTER_KEY_FILE": str(tmp_path / "none")})
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="TIDEMARK_MASTER_KEY_FILE"):
        Settings.from_environ(environ | {"TIDEMARK_MASTER_KEY_FILE": str(path)})


def test_the_master_key_is_not_in_what_is_logged() -> None:
    """A dataclass prints its fields: not this one."""
    settings = Settings.from_environ(GOOD)
    assert "master_key" not in repr(settings)
