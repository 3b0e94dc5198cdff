"""Files: taken in, handed out in a form that no browser runs, listed and removed by admins."""

from __future__ import annotations

import re
from collections.abc import Mapping

from history.axis import MILLISECOND
from history.errors import InvalidInput
from history.media.model import Kept, Listed, Media
from server.calls import Bytes, Call, Reply
from server.errors import ANSWERS
from server.wire import admin, common
from server.wire import media as wire

_DEFAULT_PAGE = 20
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
# whatever the file is: it is saved, never shown in our name, never guessed at, and never run
_SAFE = {
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def upload(call: Call[None]) -> Reply:
    """Take a file in as it comes. Until a message refers to it the uploader alone may read it."""
    length = call.headers.get("Content-Length", "")
    if call.chunks is None:
        raise LookupError("the route takes bytes: see the route table")
    media = await call.services.files.upload(
        call.app,
        call.chunks,
        type_=call.headers.get("Content-Type"),
        size=int(length[:18]) if length.isascii() and length.isdigit() else None,
        user=call.who.user,
    )
    return Reply(
        result=wire.Uploaded(media.public_id, media.size, media.type, media.sha256.hex()), status=200
    )


async def download(call: Call[None]) -> Reply:
    """A file, or a range of it, for those who may see a message that refers to it."""
    files = call.services.files
    media = await files.find(call.app.app_key, call.path["mediaId"], user=call.who.user)
    etag = f'"{media.sha256.hex()}"'
    headers = {
        **_SAFE,
        "ETag": etag,
        # a clean or a recall ends who may read it: it is asked for again each time, and 304 costs nothing
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization",
        "Accept-Ranges": "bytes",
    }
    if _matches(call.headers.get("If-None-Match", ""), etag):
        return Reply(result=Bytes(None), headers=headers, status=304)
    stretch = _range(call.headers, media, etag)
    if stretch is None:
        sentence = f"Range lies behind the end of the file, which has {media.size} bytes."
        return Reply(
            result=common.Fault(ANSWERS[InvalidInput].code, sentence),
            headers={"Content-Range": f"bytes */{media.size}"},
            status=416,
        )
    first, end = stretch
    chunks = await files.open(media, first=first, end=end)
    headers |= {"Content-Type": media.served_as, "Content-Length": str(end - first)}
    if end - first == media.size:
        return Reply(result=Bytes(chunks), headers=headers)
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{media.size}"
    return Reply(result=Bytes(chunks), headers=headers, status=206)


async def list_media(call: Call[None]) -> Reply:
    """The files of an app; with kept true those that stay because somebody kept them, and why."""
    asked = call.query
    page, cursor = await call.services.files.list(
        call.path["appKey"],
        kept=asked.kept,
        cursor=asked.cursor or None,
        most=asked.pageSize or _DEFAULT_PAGE,
    )
    return Reply(result=wire.MediaPage([_row(listed) for listed in page], cursor))


async def remove_media(call: Call[None]) -> Reply:
    """Delete a file that somebody kept, or that no message refers to."""
    await call.services.files.remove(call.path["appKey"], call.path["mediaId"])
    return Reply(result=admin.Nothing())


def _matches(header: str, etag: str) -> bool:
    """Whether the reader has it already."""
    names = {name.strip().removeprefix("W/") for name in header.split(",")}
    return etag in names or "*" in names


def _range(headers: Mapping[str, str], media: Media, etag: str) -> tuple[int, int] | None:
    """From where up to, not including, where; None where that is nowhere. What is no single range is the whole file."""
    whole = (0, media.size)
    found = _RANGE.fullmatch(headers.get("Range", "").strip())
    if found is None or headers.get("If-Range", etag) != etag or not (found[1] or found[2]):
        return whole
    if not found[1]:
        last = int(found[2])
        return (max(0, media.size - last), media.size) if last else None
    first, end = int(found[1]), int(found[2]) + 1 if found[2] else media.size
    if end <= first and found[2]:
        return whole
    return (first, min(end, media.size)) if first < media.size else None


def _row(listed: Listed) -> wire.MediaRow:
    media = listed.media
    return wire.MediaRow(
        id=media.public_id,
        bytes=media.size,
        type=media.type,
        sha256=media.sha256.hex(),
        uploader=media.uploader,
        createdAt=media.created_at // MILLISECOND,
        kept=[_kept(kept) for kept in listed.kept],
    )


def _kept(kept: Kept) -> wire.KeptView:
    return wire.KeptView(
        channelType=int(kept.channel.type),
        channelKey=list(kept.channel.key),
        sentAt=kept.sent_at // MILLISECOND,
        userId=kept.user_id or None,
        reason=kept.reason,
    )
