"""NDJSON in: from bytes as they come to lines on their way in.

A line that is wrong is refused by its number, and the others never hear of it. What comes whole is decoded a chunk at a time;
a chunk in which something is wrong is looked at line by line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from history.apps.model import App
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.errors import InvalidInput, TidemarkError, TooLong
from history.messages.model import Flags, check_size
from history.transfer.model import EARLIEST, MOST_BYTES, MOST_LINES, Line, Place, check_time
from server import parse
from server.drafts import check_storage, kept_metadata, stored
from server.errors import NotJson
from server.wire.transfer import TransferLine

MOST_LINE_BYTES = 8 * 1024 * 1024
"""As of any request's body."""
_MOST_PLACES = 50_000
_LINE = re.compile(rb"\S[^\n]*")
"""From its first character on; what lies between two of them are blank lines, whose number may be millions."""
_BOM = b"\xef\xbb\xbf"
_decoder = msgspec.json.Decoder(TransferLine)


class Lines:
    """The lines of one stream, read and not yet taken."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tail = b""
        self._skipping = False
        self._bytes = 0
        self._number = 0
        self._places: dict[tuple[int, str, str], tuple[Place, int, int]] = {}
        self._by_key: dict[ChannelKey, Place] = {}
        self._lines: list[Line] = []
        self._refused: list[tuple[int, Exception]] = []

    @property
    def full(self) -> bool:
        """Whether a batch is waiting to be taken."""
        return self._bytes >= MOST_BYTES or len(self._lines) + len(self._refused) >= MOST_LINES

    @property
    def waiting(self) -> bool:
        """Whether anything is."""
        return bool(self._lines or self._refused)

    def take(self) -> tuple[list[Line], list[tuple[int, Exception]]]:
        """The lines of one batch, and those that were refused before it was full."""
        taken, self._lines = self._lines[:MOST_LINES], self._lines[MOST_LINES:]
        last = taken[-1][0] if self._lines else self._number
        refused = [one for one in self._refused if one[0] <= last]
        self._refused = self._refused[len(refused) :]
        self._bytes = 0
        return taken, refused

    def feed(self, chunk: bytes, *, now: int) -> None:
        """Read what has come; `now` in milliseconds."""
        self._bytes += len(chunk)
        if self._skipping:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return
            self._skipping = False
        data = self._tail + chunk
        end = data.rfind(b"\n") + 1
        self._tail = data[end:]
        if end:
            self._read(data[:end], now)
        if len(self._tail) > MOST_LINE_BYTES:
            self._number += 1
            most = MOST_LINE_BYTES // 1024 // 1024
            self._refused.append(
                (self._number, TooLong("line", f"The line is too long: at most {most} MiB."))
            )
            self._tail, self._skipping = b"", True

    def end(self, *, now: int) -> None:
        """Nothing more comes: the last line needs no end of line."""
        if self._tail:
            data, self._tail = self._tail + b"\n", b""
            self._read(data, now)

    def _read(self, data: bytes, now: int) -> None:
        if not self._number and data.startswith(_BOM):
            data = data[len(_BOM) :]
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        decoded = _decoded(data)
        if decoded is not None:
            self._accept(decoded, now)
            return
        if data.isspace():
            self._number += data.count(b"\n")
            return
        at = 0
        for found in _LINE.finditer(data):
            start = data.rfind(b"\n", at, found.start()) + 1 or at
            self._number += data.count(b"\n", at, start)
            line, at = data[start : found.end()], found.end() + 1
            try:
                one = parse.decode(line, TransferLine)
            except TidemarkError as exc:
                self._number += 1
                self._refused.append((self._number, _of_line(exc)))
            else:
                self._accept([one], now)
        self._number += data.count(b"\n", at)

    def _accept(self, decoded: Sequence[TransferLine], now: int) -> None:
        """Turn each into a message on its way in, or refuse it. This runs for every line: it is kept flat."""
        places, lines, number = self._places, self._lines, self._number
        # a character is at most 4 bytes: most content needs no encoding to be seen as small
        safe = self._app.settings.max_content_bytes // 4
        for one in decoded:
            number += 1
            try:
                found = places.get((one.channelType, one.channelId, one.fromUserId)) or self._place(one)
                place, flags, echo = found
                if len(one.content) > safe or not EARLIEST <= one.sentAt <= now:
                    check_size(one.content, self._app.settings.max_content_bytes)
                    check_time(one.sentAt, now=now)
                if one.isEchoToSender:
                    flags |= echo
                if one.deliver:
                    flags &= ~Flags.SILENT
                if one.shouldPersist == 0:
                    flags &= ~Flags.PERSISTED
                if flags & Flags.SILENT and not flags & Flags.PERSISTED:
                    self._refuse_useless(place)
                recipients = metadata = None
                if one.toUserIds is not None:
                    recipients = _recipients(one, place)
                if one.hasMetadata or one.metadata:
                    flags |= Flags.METADATA if one.hasMetadata else 0
                    metadata = kept_metadata(one.metadata, kept=bool(one.hasMetadata))
            except TidemarkError as exc:
                self._refused.append((number, exc))
                continue
            lines.append(
                (
                    number,
                    place,
                    one.sentAt,
                    flags,
                    one.fromUserId,
                    one.messageType,
                    one.content,
                    recipients,
                    metadata,
                    one.clientMessageId,
                )
            )
        self._number = number

    def _place(self, one: TransferLine) -> tuple[Place, int, int]:
        """The channel of a line, the flags of a plain message there, and the flag of an echo."""
        type_ = parse.channel_type(one.channelType, "channelType")
        sender, channel_id, app_key = one.fromUserId, one.channelId, self._app.app_key
        if type_ in (ChannelType.DIRECT, ChannelType.SYSTEM) and sender == channel_id:
            raise InvalidInput("channelId", "channelId is fromUserId; nobody sends to himself.")
        if type_ is ChannelType.SYSTEM:
            key = channel_key(app_key, type_, channel_id=sender, user_id=channel_id)
        else:
            key = channel_key(app_key, type_, channel_id=channel_id, user_id=sender)
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
            self._by_key.clear()
        place = self._by_key.setdefault(key, Place(key))
        flags = Flags.SILENT | (Flags.PERSISTED if stored(self._app, type_) else 0)
        found = place, flags, 0 if type_ is ChannelType.SYSTEM else Flags.ECHOED
        self._places[one.channelType, channel_id, sender] = found
        return found

    def _refuse_useless(self, place: Place) -> None:
        """Neither stored for history nor delivered: nobody would ever be given it."""
        check_storage(self._app, place.key.type)
        raise InvalidInput(
            "shouldPersist",
            "shouldPersist is 0 and deliver is not true: nobody would ever be given this message.",
        )


def _decoded(data: bytes) -> list[TransferLine] | None:
    """All lines at once; None where one of them has to be looked at by itself."""
    count = data.count(b"\n")
    # every line begins and ends as an object does: none goes over two lines
    if not data.startswith(b"{") or not data.endswith(b"}\n") or data.count(b"}\n{") != count - 1:
        return None
    # Postgres text cannot hold NUL. Written plainly it is no JSON, so only its escape needs a look
    if b"\\u0000" in data:
        return None
    try:
        if not data.isascii():
            # msgspec does not look into fields that it does not know
            data.decode()
        decoded = _decoder.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return decoded if len(decoded) == count else None


def _of_line(error: TidemarkError) -> TidemarkError:
    return NotJson("The line is not a JSON object in UTF-8.") if isinstance(error, NotJson) else error


def _recipients(one: TransferLine, place: Place) -> tuple[str, ...]:
    if place.key.type is not ChannelType.GROUP:
        raise InvalidInput("toUserIds", "toUserIds goes with a group.")
    return tuple(dict.fromkeys(one.toUserIds or ()))
