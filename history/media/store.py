"""The rows of files and of the references to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from history.channels.model import ChannelKey, ChannelType
from history.database import Connection, Row
from history.delivery.model import Reach
from history.media.model import Judged, Kept, Media
from history.queries import statement

_FIRST = UUID(int=0)
_MOST_GONE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A file whose row is locked."""

    state: str
    size: int
    look_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What stands in the way of deleting a file."""

    needed: bool
    on_disk: bool
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Files that a clean would let go of."""

    files: int
    bytes: int
    refs: int
    """References that were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rowed:
    """A row as the sweep compares it with the store."""

    app_key: str
    state: str
    size: int


def _media(row: Row) -> Media:
    return Media(
        id=row["id"],
        app_key=row["app_key"],
        uploader=row["uploader"],
        type=row["type"],
        size=row["bytes"],
        sha256=row["sha256"],
        created_at=row["created_at"],
    )


async def insert_media(
    connection: Connection,
    id_: UUID,
    app_key: str,
    *,
    uploader: str | None,
    type_: str,
    now: int,
    given_up_at: int,
) -> None:
    """Write the row of a file that is about to be uploaded."""
    await connection.execute(
        statement("media", "insert_media"), id_, app_key, uploader, type_, now, given_up_at
    )


async def update_ready(connection: Connection, id_: UUID, *, size: int, sha256: bytes, look_at: int) -> bool:
    """The object is whole; False where the upload was given up meanwhile."""
    status = await connection.execute(statement("media", "update_ready"), id_, size, sha256, look_at)
    return bool(status == "UPDATE 1")


async def get_media(connection: Connection, app_key: str, id_: UUID) -> Media | None:
    """A file of the app that is whole."""
    row = await connection.fetchrow(statement("media", "get_media"), app_key, id_)
    return _media(row) if row else None


async def may_read(
    connection: Connection, app_key: str, id_: UUID, user_id: str, reach: Reach, *, now: int
) -> bool:
    """Whether the user may be given a message that refers to it, or uploaded it for one to come."""
    found: bool = await connection.fetchval(
        statement("media", "may_read"), app_key, id_, user_id, now, reach.missed_from, reach.window_from
    )
    return found


async def list_media(
    connection: Connection, app_key: str, *, kept: bool, after: UUID, most: int
) -> list[Media]:
    """The files of an app in the order of their ids; with `kept` those alone that somebody kept."""
    name = "list_kept" if kept else "list_media"
    return [_media(row) for row in await connection.fetch(statement("media", name), app_key, after, most)]


async def list_keepers(
    connection: Connection, app_key: str, ids: Sequence[UUID], *, most: int
) -> dict[UUID, list[Kept]]:
    """Why these files stay though no message on disk refers to them."""
    found: dict[UUID, list[Kept]] = {}
    for row in await connection.fetch(statement("media", "list_keepers"), ids, most):
        kept = Kept(
            channel=ChannelKey(app_key, ChannelType(row["type"]), tuple(row["key"])),
            sent_at=row["position"],
            user_id=row["keeper"],
        )
        found.setdefault(row["media_id"], []).append(kept)
    return found


async def judge_gone(connection: Connection, channel_id: int, *, now: int) -> int | None:
    """See which files are needed no more, since messages of a channel went or somebody gave them up.

    The lowest position whose message is gone while somebody keeps its files. The caller shares the app's row.
    """
    after, kept_from = (-1, _FIRST), None
    while page := await list_gone(connection, channel_id, now=now, after=after, most=_MOST_GONE):
        if changed := [one for one in page if one.changed]:
            await update_gone(connection, channel_id, changed, now=now)
        kept = [one.position for one in page if one.keeper is not None]
        kept_from = kept_from if kept_from is not None or not kept else kept[0]
        after = (page[-1].position, page[-1].media_id)
        if len(page) < _MOST_GONE:
            break
    return kept_from


async def list_gone(
    connection: Connection, channel_id: int, *, now: int, after: tuple[int, UUID], most: int
) -> list[Judged]:
    """References of a channel whose messages are gone, and who keeps their files."""
    rows = await connection.fetch(statement("media", "list_gone"), channel_id, now, *after, most)
    return [
        Judged(
            position=row["position"],
            media_id=row["media_id"],
            hidden_by=tuple(row["hidden_by"]),
            keeper=row["keeper"],
            changed=row["changed"],
        )
        for row in rows
    ]


async def update_gone(connection: Connection, channel_id: int, judged: Sequence[Judged], *, now: int) -> None:
    """Write who keeps the files of messages that are gone; what nobody keeps any more is looked at."""
    # the files before the references, as what deletes a file does
    freed = sorted({one.media_id for one in judged if one.keeper is None})
    await connection.execute(statement("media", "mark_media_due"), freed, now)
    await connection.execute(
        statement("media", "update_gone"),
        channel_id,
        [one.position for one in judged],
        [one.media_id for one in judged],
        [json.dumps(one.hidden_by) for one in judged],
        [one.keeper for one in judged],
        now,
    )


async def count_given_up(
    connection: Connection,
    channel_id: int,
    user_id: str,
    *,
    below: int,
    now: int,
    undo_until: int,
    most: int,
) -> GivenUp:
    """The files that would go if this clean were the last thing that happens; of at most so many references."""
    row = await connection.fetchrow(
        statement("media", "list_given_up"), channel_id, user_id, below, now, undo_until, most
    )
    if row is None:
        raise LookupError("a statement without FROM has one row")
    free = await connection.fetchrow(statement("media", "count_free"), row["ids"], channel_id)
    if free is None:
        raise LookupError("an aggregate has one row")
    return GivenUp(files=free["files"], bytes=free["bytes"], refs=row["refs"])


async def list_due(connection: Connection, *, now: int, most: int) -> list[tuple[UUID, str]]:
    """(id, app key) of files to look at, the longest due first."""
    rows = await connection.fetch(statement("media", "list_due"), now, most)
    return [(row["id"], row["app_key"]) for row in rows]


async def lock_media(connection: Connection, app_key: str, id_: UUID) -> Locked | None:
    """A file's row, locked against sends that refer to it until the transaction ends."""
    row = await connection.fetchrow(statement("media", "lock_media"), app_key, id_)
    return Locked(state=row["state"], size=row["bytes"], look_at=row["look_at"]) if row else None


async def get_needs(connection: Connection, id_: UUID) -> Needs:
    """What stands in the way of deleting a file; the caller has locked it."""
    row = await connection.fetchrow(statement("media", "get_needs"), id_)
    if row is None:
        raise LookupError("the caller has locked the file's row")
    return Needs(needed=row["needed"], on_disk=row["on_disk"], held=row["held"] or row["channel_held"])


async def keep(connection: Connection, id_: UUID, *, look_at: int | None) -> None:
    """Leave the file, and forget references that do not need it any more."""
    await connection.execute(statement("media", "update_look"), id_, look_at)
    if look_at is None:
        await connection.execute(statement("media", "delete_unneeding_refs"), id_)


async def update_deleting(connection: Connection, id_: UUID, *, again_at: int) -> None:
    """Nobody can refer to it any more; whoever comes after `again_at` goes on."""
    await connection.execute(statement("media", "update_deleting"), id_, again_at)


async def delete_media(connection: Connection, id_: UUID, *, size: int) -> bool:
    """Delete the row of a file whose object is gone, and count it; False where that was done before."""
    await connection.execute(statement("media", "count_reclaimed"), id_, size)
    await connection.execute(statement("media", "delete_refs"), id_)
    return bool(await connection.execute(statement("media", "delete_media"), id_) == "DELETE 1")


async def list_shelf(connection: Connection, first: UUID, last: UUID) -> Mapping[UUID, Rowed]:
    """The rows of a shelf."""
    rows = await connection.fetch(statement("media", "list_shelf"), first, last)
    return {row["id"]: Rowed(app_key=row["app_key"], state=row["state"], size=row["bytes"]) for row in rows}
