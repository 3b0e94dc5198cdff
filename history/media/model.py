"""A file, what it may be, and why it stays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from history.apps.model import media_types
from history.axis import SECOND
from history.channels.model import ChannelKey
from history.cursors import NotOurs, media_id, read_media_id

UPLOAD_SECONDS = 3_600
"""An upload that takes longer is broken off."""
UNFINISHED_AFTER = 2 * UPLOAD_SECONDS * SECOND
"""Then nobody is at it any more: its process died."""
AGAIN_AFTER = 60 * SECOND
"""When a deletion that was cut short is gone on with."""
MOST_KEEPERS = 10
"""References that a list shows of each file."""
UNKNOWN_TYPE = "application/octet-stream"
SAFE_TYPES = frozenset(
    {
        "application/pdf",
        "audio/aac",
        "audio/amr",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/webm",
        "image/avif",
        "image/gif",
        "image/heic",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
        "video/mp4",
        "video/ogg",
        "video/quicktime",
        "video/webm",
    }
)
"""What a browser shows without running it. Every other type is served as UNKNOWN_TYPE."""
_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file as its row has it. Its bytes are in the object store."""

    id: UUID
    app_key: str
    uploader: str | None
    """None: the backend."""
    type: str
    size: int
    sha256: bytes
    created_at: int

    @property
    def public_id(self) -> str:
        """The id as the outside sees it, and as messages name it: media:[id]."""
        return media_id(self.id.bytes)

    @property
    def served_as(self) -> str:
        """The type that a reader is told."""
        return self.type if self.type in SAFE_TYPES else UNKNOWN_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Why a file stays: a message that is gone, and somebody who did not give up its file."""

    channel: ChannelKey
    sent_at: int
    user_id: str
    """Empty: an open channel, which is cleaned for everyone at once."""

    @property
    def reason(self) -> str:
        """In a sentence."""
        if not self.user_id:
            return "The channel was cleaned without deleteMedia."
        return f"{self.user_id} has cleaned the channel without deleteMedia."


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file, and what keeps it where no message on disk refers to it."""

    media: Media
    kept: list[Kept]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A reference whose message is gone."""

    position: int
    media_id: UUID
    hidden_by: tuple[str, ...]
    keeper: str | None
    changed: bool


def read_id(public_id: str) -> UUID | None:
    """The file that the id names; None where it is none of ours."""
    try:
        return UUID(bytes=read_media_id(public_id))
    except NotOurs:
        return None


def read_type(text: str) -> str | None:
    """A media type without its parameters, in lower case; None where it is none."""
    type_ = text.partition(";")[0].strip().lower()
    return type_ if _TYPE.fullmatch(type_) else None


def allowed(type_: str, setting: str) -> bool:
    """Whether the app's mediaTypes has it."""
    wanted = {"*/*", f"{type_.partition('/')[0]}/*", type_}
    return not wanted.isdisjoint(media_types(setting))
