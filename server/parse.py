"""From bytes to a request: types, sizes and ranges are msgspec's to check, the sentence that names the field is ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import ClientPayloadError, web
from msgspec import Struct, inspect

from history.channels.model import ChannelType
from history.cursors import MOST_ID_CHARACTERS
from history.errors import InvalidInput, TooLong
from server.errors import BodyTooLarge, EmptyBody, NotForm, NotJson, NotTaken
from server.gate import PASSAGE
from server.packing import BROKEN, Unpacker, unpacker

_Body = TypeVar("_Body", bound=Struct)
_CHUNK_BYTES = 64 * 1024
MOST_SILENCE = 60.0
"""Seconds for which a body that is read as it comes may stand still: what it takes part in has few places."""
# aiohttp says RuntimeError where the connection was lost before the first look
_CUT = (web.RequestPayloadError, ClientPayloadError, OSError, RuntimeError)
MOST_FIELDS = 10_000
"""Of one form: far more than any request needs."""
_KEYED = re.compile(r"(?P<name>\w+)\[(?P<key>.*?)\](?P<list>\[\])?", re.DOTALL)


def channel_type(number: int, field: str) -> ChannelType:
    """The channel type of a request's field."""
    try:
        return ChannelType(number)
    except ValueError as exc:
        raise InvalidInput(field, f"{field} must be 1 (direct), 3 (group), 4 (open) or 6 (system).") from exc


def check_text(text: str, field: str) -> None:
    """An id that stands in a path: of a size, and without what cannot be stored."""
    if len(text) > MOST_ID_CHARACTERS:
        raise TooLong(field, f"{field} is too long: at most {MOST_ID_CHARACTERS} characters.")
    if "\x00" in text or not text.isprintable():
        raise InvalidInput(field, f"{field} holds a character that cannot be stored; take it out.")


async def read(request: web.Request) -> bytes:
    """The body, unpacked; nobody keeps it while the request waits."""
    body = bytearray()
    unpacking = unpacker(request.headers.get("Content-Encoding", ""))
    try:
        while chunk := await request.content.readany():
            for piece in (chunk,) if unpacking is None else unpacking.feed(chunk):
                request[PASSAGE].take(len(piece))
                body += piece
                if len(body) > request.client_max_size:
                    raise BodyTooLarge("The body is too large; send less in one request.")
    except _CUT as exc:
        raise _ended(request, exc) from exc
    if unpacking is not None:
        unpacking.end()
    return bytes(body)


def chunks(request: web.Request) -> AsyncGenerator[bytes, None]:
    """The body as it comes, unpacked, never as a whole; NotTaken where nothing comes for MOST_SILENCE."""
    return _chunks(request, unpacker(request.headers.get("Content-Encoding", "")))


async def _chunks(request: web.Request, unpacking: Unpacker | None) -> AsyncGenerator[bytes, None]:
    while chunk := await _chunk(request):
        if unpacking is None:
            yield chunk
            continue
        for piece in unpacking.feed(chunk):
            yield piece
            # a little may unpack to very much: others get their turn
            await asyncio.sleep(0)
    if unpacking is not None:
        unpacking.end()


async def _chunk(request: web.Request) -> bytes:
    """What comes next; nothing at the end."""
    try:
        async with asyncio.timeout(MOST_SILENCE):
            return await request.content.read(_CHUNK_BYTES)
    except TimeoutError as exc:
        raise NotTaken(f"Nothing of the body came for {MOST_SILENCE:g} seconds; send it again.") from exc
    except _CUT as exc:
        raise _ended(request, exc) from exc


def _ended(request: web.Request, error: Exception) -> NotTaken:
    """For a body that ends in its middle, most often because the caller hung up: then nobody reads it."""
    if isinstance(error, RuntimeError) and request.transport is not None:
        raise error
    return NotTaken(BROKEN)


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form (application/x-www-form-urlencoded in UTF-8), in their order; a name may come again."""
    try:
        # ASCII: what is not is written as %XX; a NUL would be refused by name
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as exc:
        raise NotForm("The body is not a form in UTF-8 (application/x-www-form-urlencoded).") from exc


def from_fields(fields: Iterable[tuple[str, str]], type_: type[_Body]) -> _Body:
    """A request whose values are all text, of a form or a query: texts become what the type wants.

    A name that comes again (or name[]) makes a list where the type has one, name[key] (or name[key][]) an entry of its
    object; else its first value counts. An empty value of what is no text is the same as none.
    """
    lists, texts, objects = _kinds(type_)
    values: dict[str, Any] = {}
    for written, value in fields:
        name = written.removesuffix("[]")
        if (keyed := _KEYED.fullmatch(written)) and keyed["name"] in objects:
            entries = values.setdefault(keyed["name"], {})
            if not isinstance(entries, dict):
                # it came plainly before: the type refuses that
                continue
            if keyed["list"]:
                entries.setdefault(keyed["key"], []).append(value)
            else:
                entries.setdefault(keyed["key"], value)
        elif name in lists:
            values.setdefault(name, []).append(value)
        elif value or name in texts:
            values.setdefault(name, value)
    return convert(values, type_)


def convert(values: Mapping[str, object], type_: type[_Body]) -> _Body:
    """A request of this type from plain values, texts read as what the type wants ("1" as 1, "true" as true)."""
    try:
        converted = msgspec.convert(values, type=type_, strict=False)
    except msgspec.ValidationError as exc:
        raise _named(str(exc)) from exc
    _refuse_nul(msgspec.to_builtins(converted), "")
    return converted


@lru_cache(maxsize=256)
def _kinds(type_: type[Struct]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The names of the type's lists, of its texts and of its objects with keys of the caller's own."""
    lists, texts, objects = set(), set(), set()
    described: Any = inspect.type_info(type_)
    for field in described.fields:
        # examples and descriptions stand around the type
        kind = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
        kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
        if any(isinstance(kind, inspect.ListType) for kind in kinds):
            lists.add(field.encode_name)
        if any(isinstance(kind, inspect.StrType) for kind in kinds):
            texts.add(field.encode_name)
        if any(isinstance(kind, inspect.DictType) for kind in kinds):
            objects.add(field.encode_name)
    return frozenset(lists), frozenset(texts), frozenset(objects)


def decode(body: bytes, type_: type[_Body], *, strict: bool = True) -> _Body:
    """A request of this type, or an error whose sentence names the field; not `strict`: "1" is 1 and "true" is true."""
    if not body.strip():
        raise EmptyBody("The request has no body; send a JSON object.")
    try:
        if not body.isascii():
            # msgspec does not look into fields that the route does not know
            body.decode()
        decoded = msgspec.json.decode(body, type=type_, strict=strict)
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
    if "out of range" in finding:
        return "is a number that is too large"
    if finding.startswith("Invalid enum value"):
        return "has a value that is not one of those that /openapi.json lists"
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
