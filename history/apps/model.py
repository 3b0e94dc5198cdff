"""An app and its settings, and how its secrets are kept."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field, fields
from uuid import UUID
from zoneinfo import available_timezones

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from history.errors import ConfigurationError, InvalidInput

_NONCE_BYTES = 12
_MEDIA_TYPE = re.compile(r"\*/\*|[a-z0-9][a-z0-9.+-]{0,63}/(\*|[a-z0-9][a-z0-9.+-]{0,63})")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """What an admin decides for one app. Rules obey a change at once, limits and secrets within a second."""

    multi_device_sync: bool = True
    compensation_days: int = 1
    compensation_time_zone: str = "UTC"
    delete_compensated_on_clean: bool = False
    missed_days: int = 7
    undo_seconds: int = 86_400
    clean_rate_limit: int = 100
    max_content_bytes: int = 131_072
    signature_max_age_seconds: int = 0
    reject_replayed_nonces: bool = False
    direct_group_storage: bool = True
    open_storage: bool = True
    device_days: int = 90
    left_days: int = 30
    recall_days: int = 30
    journal_days: int = 365
    token_days: int = 365
    idempotency_hours: int = 24
    retention_days: int = 0
    sync_conversation_deletion: bool = False
    tencent_sdk_app_id: int | None = None
    tencent_admin: str = "administrator"
    tencent_key: bool = False
    """Whether there is one: the key itself is a secret of the app's row."""
    media_max_bytes: int = 20_971_520
    media_types: str = "*/*"
    media_unused_hours: int = 24


MOVES_FLOORS = frozenset({"multi_device_sync", "compensation_days", "compensation_time_zone", "missed_days"})
"""The settings that the floor reads: a change of one marks every channel of the app due."""

SETTING_NAMES = tuple(setting.name for setting in fields(AppSettings))


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A tenant, with its secret opened."""

    app_key: str
    name: str
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_secret_until: int
    tencent_key: str | None = field(default=None, repr=False)
    """What the UserSigs of its Tencent surface are signed with."""
    created_at: int
    settings: AppSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedApp:
    """A tenant as its row has it."""

    app_key: str
    name: str
    created_at: int
    secret: bytes
    previous_secret: bytes | None
    previous_secret_until: int
    tencent_key: bytes | None
    settings: AppSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AppListing:
    """A tenant as lists show it: no secret."""

    app_key: str
    name: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApp:
    """The keys of a new app: shown once, never again."""

    app_key: str
    app_secret: str = field(repr=False)
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A bearer key as it is stored: everything but the key."""

    id: UUID
    kind: str
    """api: an API key of one app; admin: an admin key."""
    app_key: str | None
    """The one app that it opens; None: all of them (admin keys alone)."""
    name: str
    read_only: bool
    created_at: int
    last_used_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Whose access token it is."""

    app_key: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A user of an app as RyzeAPI sees him."""

    app_key: str
    user_id: str
    connected: bool
    created_at: int
    """0 where he is one by his conversations alone."""


def new_app_key() -> str:
    """An app key in the form of the field: 12 letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def is_app_key(text: str) -> bool:
    """Whether it can be one: anything else need not, and sometimes cannot, be asked for."""
    return text.isascii() and text.isalnum() and len(text) <= 64


def new_secret() -> str:
    """An app secret: 32 characters, 190 bits."""
    return secrets.token_urlsafe(24)


def new_key(kind: str) -> str:
    """A bearer key of 256 random bits, its kind in front."""
    return f"tm_{kind}_{secrets.token_urlsafe(32)}"


def key_hash(key: str) -> bytes:
    """How a key is stored. A fast hash is enough for 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def seal(master_key: bytes, owner: str, secret: str) -> bytes:
    """A secret as it is stored. The owner is the app's key, or tencent_owner: what was sealed for one opens no other."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(master_key).encrypt(nonce, secret.encode(), owner.encode())


def tencent_owner(app_key: str) -> str:
    """For whom an app's Tencent key is sealed."""
    return f"{app_key}/tencent"


def unseal(master_key: bytes, owner: str, sealed: bytes) -> str:
    """The secret; ConfigurationError where it was sealed under another master key."""
    nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(master_key).decrypt(nonce, body, owner.encode()).decode()
    except InvalidTag as exc:
        raise ConfigurationError(
            "The app secrets were encrypted under another master key; set TIDEMARK_MASTER_KEY to that one."
        ) from exc


def check_time_zone(name: str, known_to_postgres: frozenset[str]) -> None:
    """Only zones that Python and Postgres both know, so that nobody reads another day than we compute."""
    if name not in available_timezones() or name not in known_to_postgres:
        raise InvalidInput(
            "compensationTimeZone",
            f"compensationTimeZone must be an IANA time zone such as Europe/Berlin, not {name!r}.",
        )


def media_types(text: str) -> frozenset[str]:
    """The types of the setting mediaTypes: image/png, image/*, */*; empty where one of them is none."""
    found = frozenset(part.strip().lower() for part in text.split(","))
    return found if all(_MEDIA_TYPE.fullmatch(part) for part in found) else frozenset()


def check_media_types(text: str) -> None:
    """Only what can be a type, or the first half of one."""
    if not media_types(text):
        raise InvalidInput(
            "mediaTypes",
            f"mediaTypes must be types such as image/png, image/* or */*, with commas, not {text!r}.",
        )
