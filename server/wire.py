"""The requests and answers of the v4 API and the admin API, by the field names of ncsdk's models.

msgspec checks types, sizes and ranges; `decode` turns what it finds into a sentence that names the field. Null in an
optional field is the same as absent, unknown fields are passed over. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from history.channels.model import MOST_ID_CHARACTERS, ChannelType
from history.errors import InvalidInput, TooLong
from server.errors import EmptyBody, NotJson

Id = Annotated[str, Meta(min_length=1, max_length=MOST_ID_CHARACTERS)]
Text = Annotated[str, Meta(min_length=1)]
Bit = Annotated[int, Meta(ge=0, le=1)]
Milliseconds = Annotated[int, Meta(ge=0, lt=10**14)]
TypeNumber = Annotated[int, Meta(description="1 direct, 3 group, 4 open, 6 system")]
_Body = TypeVar("_Body", bound=Struct)


class DirectSend(Struct, kw_only=True):
    """A message to each of these users, all or none."""

    fromUserId: Id
    toUserIds: Annotated[list[Id], Meta(min_length=1, max_length=1000)]
    messageType: Annotated[str, Meta(min_length=1, max_length=32)]
    content: Annotated[
        str, Meta(min_length=1, description="Kept byte for byte; at most maxContentBytes of UTF-8")
    ]
    isEchoToSender: Bit | None = None
    shouldPersist: Bit | None = None
    pushContent: str | None = None
    pushData: str | None = None
    count: int | None = None
    verifyBlocklist: Bit | None = None
    contentAvailable: Bit | None = None
    hasMetadata: bool | None = None
    metadata: Annotated[dict[Annotated[str, Meta(max_length=32)], Any], Meta(max_length=100)] | None = None
    disablePush: bool | None = None
    pushExt: str | None = None
    disableUpdateLastMsg: bool | None = None
    needReadReceipt: Bit | None = None


class UserDelivery(Struct):
    """The message that one recipient got."""

    userId: str
    messageId: str


class DirectSent(Struct):
    """In the order of toUserIds, each user once."""

    messageIds: list[UserDelivery]


class HistoryList(Struct, kw_only=True):
    """A page backwards in time, from startAt down to endAt, 14 days at most."""

    userId: Id
    channelId: Id
    startAt: Milliseconds
    endAt: Milliseconds
    includeStart: bool
    pageSize: Annotated[int, Meta(ge=1, le=100)] | None = None


class HistoryRecord(Struct):
    """A message of a history page."""

    channelId: str
    fromUserId: str
    messageId: str
    position: int
    sentAt: int
    messageType: str
    content: str
    hasMetadata: bool


class HistoryPage(Struct):
    """Newest first. It may hold more than pageSize: the rest of the last millisecond comes along."""

    messages: list[HistoryRecord]


class Clean(Struct, kw_only=True):
    """Clean the history of one user (channel types 1, 3, 6) or of everyone (4)."""

    channelType: TypeNumber
    fromUserId: Id
    channelId: Id
    sentAt: Annotated[
        str | int | None, Meta(description="Milliseconds; messages before it go. Absent or empty: all")
    ] = None
    deleteCompensated: bool | None = None
    reason: Annotated[str, Meta(max_length=512)] | None = None


class Sync(Struct, kw_only=True):
    """What a device lacks."""

    userId: Id
    deviceId: Id
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    cursor: Annotated[str, Meta(max_length=65_536)] | None = None
    reinstalled: bool | None = None


class SyncClean(Struct):
    """Messages below `cutoff` (a position) are cleaned in this channel; `restored`: it is lower than it was."""

    channelType: int
    channelId: str
    cutoff: int
    cutoffAt: int
    everyone: bool
    restored: bool


class SyncMessage(Struct):
    """A message that the device is to keep; `origin` is missed or compensation."""

    channelType: int
    channelId: str
    fromUserId: str
    messageId: str
    position: int
    sentAt: int
    messageType: str
    content: str
    origin: str


class SyncPage(Struct):
    """First the cleans, then the messages, channel by channel, ascending by position."""

    cleans: list[SyncClean]
    messages: list[SyncMessage]
    cursor: str
    hasMore: bool


class AckItem(Struct):
    """Everything in that channel up to and including the message."""

    channelType: TypeNumber
    channelId: Id
    messageId: Annotated[str, Meta(min_length=1, max_length=64)]


class Ack(Struct, kw_only=True):
    """What a device has received; all of it counts, or none."""

    userId: Id
    deviceId: Id
    delivered: Annotated[list[AckItem], Meta(min_length=1, max_length=500)]


class NewApp(Struct):
    """A name for a new app."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]


class AppKeys(Struct):
    """The keys of a new app: shown here and never again."""

    name: str
    appKey: str
    appSecret: str
    apiKey: str


class AppRow(Struct):
    """An app as lists show it."""

    appKey: str
    name: str
    createdAt: int


class AppList(Struct):
    """All apps, oldest first."""

    apps: list[AppRow]


class SettingsPatch(Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The settings to change; docs/operations.md says what each does."""

    multi_device_sync: bool | None = None
    compensation_days: Annotated[int, Meta(ge=0, le=7)] | None = None
    compensation_time_zone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    delete_compensated_on_clean: bool | None = None
    missed_days: Annotated[int, Meta(ge=1, le=7)] | None = None
    undo_seconds: Annotated[int, Meta(ge=0, le=30 * 86_400)] | None = None
    clean_rate_limit: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    max_content_bytes: Annotated[int, Meta(ge=1, le=1_048_576)] | None = None
    signature_max_age_seconds: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    reject_replayed_nonces: bool | None = None


class SettingsView(Struct, kw_only=True, rename="camel"):
    """All settings of an app."""

    multi_device_sync: bool
    compensation_days: int
    compensation_time_zone: str
    delete_compensated_on_clean: bool
    missed_days: int
    undo_seconds: int
    clean_rate_limit: int
    max_content_bytes: int
    signature_max_age_seconds: int
    reject_replayed_nonces: bool


class Health(Struct):
    """The process is alive."""

    status: str


class Readiness(Struct):
    """ok; degraded: Redis is missing, everything but speed works; unavailable: Postgres is missing."""

    status: str
    missing: list[str]


class Fault(Struct):
    """How every error is answered."""

    code: int
    errorMessage: str


def channel_type(number: int, field: str) -> ChannelType:
    """The channel type of a request's field."""
    try:
        return ChannelType(number)
    except ValueError as exc:
        raise InvalidInput(field, f"{field} must be 1 (direct), 3 (group), 4 (open) or 6 (system).") from exc


def decode(body: bytes, type_: type[_Body]) -> _Body:
    """A request of this type, or an error whose sentence names the field."""
    if not body.strip():
        raise EmptyBody("The request has no body; send a JSON object.")
    try:
        decoded = msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as exc:
        raise _named(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise NotJson("The body is not JSON in UTF-8; send a JSON object.") from exc
    # Postgres text cannot hold NUL. Written plainly it is no JSON, so only its escape needs a look
    if b"\\u0000" in body:
        _refuse_nul(msgspec.to_builtins(decoded), "")
    return decoded


_AT = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_LONGEST = re.compile(r"Expected `str` of length <= (?P<most>\d+)")
_TYPES = {
    "str": "a string",
    "int": "an integer",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}


def _named(text: str) -> InvalidInput | NotJson:
    """msgspec's finding as a sentence for the caller."""
    at = _AT.search(text)
    path, finding = (at["path"], text[: at.start()]) if at else ("", text)
    prefix = f"{path}." if path else ""
    if missing := _MISSING.match(finding):
        field = prefix + missing["name"]
        return InvalidInput(field, f"{field} is missing; it is required.")
    if unknown := _UNKNOWN.match(finding):
        field = prefix + unknown["name"]
        return InvalidInput(field, f"{field} is not a field of this request; check its spelling.")
    if not path:
        return NotJson("The body must be a JSON object.")
    if longest := _LONGEST.match(finding):
        what = f"a key of {path}" if at and at["key"] else path
        return TooLong(path, f"{what} is too long: at most {longest['most']} characters.")
    return InvalidInput(path, f"{path} {_expectation(finding)}.")


def _expectation(finding: str) -> str:
    kind, _, rest = finding.removeprefix("Expected `").partition("`")
    if rest.startswith(" of length >= 1"):
        return "must not be empty"
    if rest.startswith(" of length <="):
        return f"has too many entries: at most {rest.removeprefix(' of length <= ')}"
    if rest.startswith((" >", " <")):
        return f"must be {rest.strip()}"
    kinds = [_TYPES.get(part, part) for part in kind.split(" | ") if part != "null"]
    return f"must be {' or '.join(kinds)}"


def _refuse_nul(value: object, path: str) -> None:
    if isinstance(value, str) and "\x00" in value:
        raise InvalidInput(path, f"{path} holds a NUL character, which cannot be stored; take it out.")
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_nul(name, path)
            _refuse_nul(item, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for number, item in enumerate(value):
            _refuse_nul(item, f"{path}[{number}]")
