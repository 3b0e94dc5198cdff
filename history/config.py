"""The settings of a process, read once from the environment. An app's own settings live in its row."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from history.errors import ConfigurationError

MASTER_KEY_BYTES = 32
MOST_PROCESSES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one process is told from outside. docs/operations.md has a row for each field."""

    database_url: str
    """TIDEMARK_DATABASE_URL: PostgreSQL 15 to 18, as postgresql://user:password@host/database."""
    redis_url: str
    """TIDEMARK_REDIS_URL: Redis 6.2 or later, or Valkey, as redis://host:port/db or unix:///path."""
    master_key: bytes = field(repr=False)
    """TIDEMARK_MASTER_KEY, or the file that TIDEMARK_MASTER_KEY_FILE names: base64 of 32 bytes. Encrypts app secrets."""
    host: str = "127.0.0.1"
    """TIDEMARK_HOST: the address that the API listens on."""
    port: int = 8080
    """TIDEMARK_PORT: the port that the API listens on, 1 to 65535."""
    processes: int = 1
    """TIDEMARK_PROCESSES: how many processes of the API share the port, 1 to 64."""
    media: str = field(default="", repr=False)
    """TIDEMARK_MEDIA_DIR, a folder, or TIDEMARK_MEDIA_URL, s3://bucket/prefix: where files are. Neither: none are taken."""
    log_format: str = "json"
    """TIDEMARK_LOG_FORMAT: json, or text for a person who reads along."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check all of them together; ConfigurationError says which one is wrong."""
        return cls(
            database_url=_required(environ, "TIDEMARK_DATABASE_URL", ("postgresql://", "postgres://")),
            redis_url=_required(environ, "TIDEMARK_REDIS_URL", ("redis://", "rediss://", "unix://")),
            master_key=_master_key(environ),
            host=environ.get("TIDEMARK_HOST") or "127.0.0.1",
            port=_number("TIDEMARK_PORT", environ.get("TIDEMARK_PORT") or "8080", most=65535),
            processes=processes_from(environ),
            media=_media(environ),
            log_format=_log_format(environ.get("TIDEMARK_LOG_FORMAT") or "json"),
        )


def processes_from(environ: Mapping[str, str]) -> int:
    """How many processes of the API are to run, read alone: servers are started before all is known."""
    return _number("TIDEMARK_PROCESSES", environ.get("TIDEMARK_PROCESSES") or "1", most=MOST_PROCESSES)


def _required(environ: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    value = environ.get(name, "")
    if not value.startswith(schemes):
        # the value may hold a password: the sentence shows its form, never its text
        raise ConfigurationError(f"Set {name} to a URL that starts with {' or '.join(schemes)}.")
    return value


def _master_key(environ: Mapping[str, str]) -> bytes:
    text, path = environ.get("TIDEMARK_MASTER_KEY"), environ.get("TIDEMARK_MASTER_KEY_FILE")
    if not text and path:
        try:
            text = Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigurationError("The file that TIDEMARK_MASTER_KEY_FILE names cannot be read.") from exc
    sentence = "Set TIDEMARK_MASTER_KEY (or TIDEMARK_MASTER_KEY_FILE) to the base64 form of 32 random bytes."
    try:
        key = base64.b64decode((text or "").strip(), validate=True)
    except binascii.Error as exc:
        raise ConfigurationError(sentence) from exc
    if len(key) != MASTER_KEY_BYTES:
        raise ConfigurationError(sentence)
    return key


def _media(environ: Mapping[str, str]) -> str:
    folder, url = environ.get("TIDEMARK_MEDIA_DIR", ""), environ.get("TIDEMARK_MEDIA_URL", "")
    if folder and url:
        raise ConfigurationError("Set TIDEMARK_MEDIA_DIR or TIDEMARK_MEDIA_URL, not both.")
    if url and not url.startswith("s3://"):
        raise ConfigurationError("Set TIDEMARK_MEDIA_URL to a URL like s3://bucket/prefix.")
    if folder and not Path(folder).is_absolute():
        raise ConfigurationError(
            "Set TIDEMARK_MEDIA_DIR to a whole path: processes start in different folders."
        )
    return url or folder


def _number(name: str, text: str, *, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise ConfigurationError(f"{name} must be a number from 1 to {most}, not {text!r}.")
    return int(text)


def _log_format(text: str) -> str:
    if text not in {"json", "text"}:
        raise ConfigurationError(f"TIDEMARK_LOG_FORMAT must be json or text, not {text!r}.")
    return text
