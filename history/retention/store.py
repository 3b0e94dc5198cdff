"""The journal, the marks that cleans raise, and the grant before the only DELETE on messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg

from history.axis import NEVER
from history.database import Connection, Row, columns
from history.delivery.model import Reach
from history.media import store as media_store
from history.messages import store as messages_store
from history.messages.model import Month
from history.queries import statement
from history.retention.model import (
    EVERYONE,
    Cancelling,
    CleanDraft,
    Cutoffs,
    Floor,
    Journalled,
    LeaseLost,
    MonthInUse,
    Overtaken,
    Pair,
)

_RULES = ("history", "missed", "compensated")


def _pair(row: Row) -> Pair:
    return Pair(row["app_key"], row["channel_id"], row["user_id"])


async def insert_clean_requests(
    connection: Connection, requests: Sequence[tuple[int, UUID, CleanDraft, int]]
) -> dict[tuple[int, UUID], int]:
    """Write requests (channel id, id, draft, accepted at) into the journal; their cutoffs by channel and id."""
    arrays = columns(
        (
            (
                channel_id,
                id_,
                draft.channel.app_key,
                int(draft.channel.type),
                json.dumps(draft.channel.key),
                draft.user_id,
                draft.operator,
                draft.before,
                draft.delete_compensated,
                draft.reason,
                draft.source,
                accepted_at,
                draft.undo_seconds,
                draft.job_id,
                draft.delete_media,
            )
            for channel_id, id_, draft, accepted_at in requests
        ),
        15,
    )
    rows = await connection.fetch(statement("retention", "insert_clean_requests"), *arrays)
    return {(row["channel_id"], row["id"]): row["cutoff"] for row in rows}


async def lock_pairs(connection: Connection, pairs: Sequence[Pair]) -> None:
    """Lock what requests of these pairs change: channels before conversations, as joining does, in the order of keys."""
    users = sorted((pair.channel_id, pair.user_id) for pair in pairs if pair.user_id != EVERYONE)
    channels = sorted({pair.channel_id for pair in pairs if pair.user_id == EVERYONE})
    if channels:
        await connection.execute(statement("retention", "lock_channels"), channels)
    if users:
        await connection.execute(statement("retention", "lock_conversations"), *columns(users, 2))


async def lock_planned(connection: Connection, channel_id: int, user_id: str) -> int:
    """Lock what the plan of a clean depends on: the channel, and those whom it concerns.

    When the latest of the channel's requests was accepted that are not settled; 0 where there is none.
    """
    await connection.execute(statement("retention", "lock_channels"), [channel_id])
    if user_id == EVERYONE:
        await connection.execute(statement("retention", "lock_members"), channel_id)
    else:
        await connection.execute(statement("retention", "lock_conversations"), [channel_id], [user_id])
    last: int | None = await connection.fetchval(statement("retention", "get_last_accepted"), channel_id)
    return last or 0


async def _journalled(connection: Connection, name: str, *arguments: object) -> list[Journalled]:
    return [
        Journalled(
            pair=_pair(row),
            id=row["id"],
            cutoff=row["cutoff"],
            delete_compensated=row["delete_compensated"],
            delete_media=row["delete_media"],
        )
        for row in await connection.fetch(statement("retention", name), *arguments)
    ]


def _by_pair(pairs: Sequence[Pair]) -> list[list[Any]]:
    return columns(((pair.app_key, pair.channel_id, pair.user_id) for pair in pairs), 3)


async def list_unapplied(connection: Connection, pairs: Sequence[Pair]) -> list[Journalled]:
    """What the journal has to apply for these pairs."""
    return await _journalled(connection, "list_unapplied", *_by_pair(pairs))


async def list_settleable(connection: Connection, pairs: Sequence[Pair], *, now: int) -> list[Journalled]:
    """What of these pairs is applied and past its undo window."""
    return await _journalled(connection, "list_settleable", *_by_pair(pairs), now)


async def list_highest_cutoffs(connection: Connection, pairs: Sequence[Pair]) -> dict[Pair, int]:
    """The highest cutoff that any request of these pairs ever had; -1 where there was none."""
    rows = await connection.fetch(statement("retention", "list_highest_cutoffs"), *_by_pair(pairs))
    return {_pair(row): row["cutoff"] for row in rows}


async def update_cutoffs(connection: Connection, cutoffs: Mapping[Pair, Cutoffs], *, settled: bool) -> None:
    """Raise marks, or their settled twins. Never an insert: no clean makes a participant.

    Who was not locked is locked by it: channels before conversations, as joining does, in the order of keys.
    """
    verb = "settle" if settled else "raise"
    rows = sorted(
        (pair.channel_id, pair.user_id, it.history, it.sync, it.media) for pair, it in cutoffs.items()
    )
    users = [row for row in rows if row[1] != EVERYONE]
    channels = [(id_, *marks) for id_, user, *marks in rows if user == EVERYONE]
    if channels:
        await connection.execute(statement("retention", f"{verb}_channel_cutoffs"), *columns(channels, 4))
    if users:
        await connection.execute(statement("retention", f"{verb}_conversation_cutoffs"), *columns(users, 5))


async def count_members(connection: Connection, channel_ids: Iterable[int]) -> dict[int, int]:
    """How many members these channels have, roughly: of a direct channel 0, of one that is not there nothing."""
    rows = await connection.fetch(statement("retention", "count_members"), sorted(channel_ids))
    return {row["id"]: row["member_count"] for row in rows}


async def insert_clean_marks(connection: Connection, rows: Sequence[Journalled], *, now: int) -> None:
    """Keep for the receipts of these requests what those whom they concern have now; Overtaken where others do so."""
    arrays = columns(sorted((row.pair.channel_id, row.id) for row in rows), 2)
    try:
        await connection.execute(statement("retention", "insert_clean_marks"), *arrays, now)
    except asyncpg.UniqueViolationError as exc:
        raise Overtaken from exc


async def update_applied(
    connection: Connection, rows: Sequence[Journalled], reaches: Mapping[str, Reach], *, now: int
) -> int:
    """These requests are in the cutoffs now; of how many that is news."""
    seen = ((row, reaches[row.pair.app_key]) for row in rows)
    arrays = columns(
        ((row.pair.channel_id, row.id, reach.missed_from, reach.window_from) for row, reach in seen), 4
    )
    status: str = await connection.execute(
        statement("retention", "update_applied"), *arrays[:2], now, *arrays[2:]
    )
    return int(status.removeprefix("UPDATE "))


async def get_cancelling(
    connection: Connection, app_key: str, channel_id: int, id_: UUID
) -> Cancelling | None:
    """A request that somebody wants undone."""
    row = await connection.fetchrow(statement("retention", "get_cancelling"), app_key, channel_id, id_)
    return Cancelling(pair=_pair(row), state=row["state"], undo_until=row["undo_until"]) if row else None


async def cancel(
    connection: Connection, pair: Pair, id_: UUID, *, now: int, by: str | None, reason: str | None
) -> None:
    """Undo a request under the lock of its pair: its row says so, and the marks become what the others make them."""
    await connection.execute(
        statement("retention", "update_cancelled"), pair.channel_id, id_, now, by, reason
    )
    if pair.user_id == EVERYONE:
        await connection.execute(statement("retention", "lower_channel_cutoffs"), pair.channel_id)
    else:
        await connection.execute(
            statement("retention", "lower_conversation_cutoffs"), pair.channel_id, pair.user_id
        )


async def update_settled(connection: Connection, rows: Sequence[Journalled], *, now: int) -> None:
    """These requests are in the settled marks now: from here on they count for the floor."""
    arrays = columns(((row.pair.channel_id, row.id) for row in rows), 2)
    await connection.execute(statement("retention", "update_settled"), *arrays, now)


async def _pairs(connection: Connection, name: str, *arguments: object) -> list[Pair]:
    rows = await connection.fetch(statement("retention", name), *arguments)
    return [_pair(row) for row in rows]


async def list_forgotten_pairs(connection: Connection, *, accepted_before: int, most: int) -> list[Pair]:
    """Pairs with requests that were accepted before and are not applied."""
    return await _pairs(connection, "list_forgotten_pairs", accepted_before, most)


async def list_settleable_pairs(connection: Connection, *, now: int, most: int) -> list[Pair]:
    """Pairs with applied requests whose undo window is over."""
    return await _pairs(connection, "list_settleable_pairs", now, most)


async def mark_due(connection: Connection, channel_ids: Iterable[int], *, now: int) -> None:
    """A floor may have risen in these channels."""
    await connection.execute(statement("retention", "mark_due"), sorted(set(channel_ids)), now)


async def list_apps_to_mark(connection: Connection, *, most: int) -> list[tuple[str, int]]:
    """(app key, id of the last channel marked) of apps whose settings moved floors."""
    rows = await connection.fetch(statement("retention", "list_apps_to_mark"), most)
    return [(row["app_key"], row["mark_due_after"]) for row in rows]


async def list_channels_after(connection: Connection, app_key: str, after: int, *, most: int) -> list[int]:
    """The next channels of an app, in the order of their ids."""
    rows = await connection.fetch(statement("retention", "list_channels_after"), app_key, after, most)
    return [row["id"] for row in rows]


async def update_mark_due_after(connection: Connection, app_key: str, was: int, becomes: int | None) -> None:
    """Remember how far the channels of an app are marked; None: all are."""
    await connection.execute(statement("retention", "update_mark_due_after"), app_key, was, becomes)


async def list_due_channels(connection: Connection, *, now: int, most: int) -> list[int]:
    """The channels whose floor is to be looked at, the longest due first."""
    rows = await connection.fetch(statement("retention", "list_due_channels"), now, most)
    return [row["id"] for row in rows]


async def claim_channels(
    connection: Connection, channel_ids: Iterable[int], *, now: int, lease: int
) -> dict[int, str]:
    """The app keys of those that are ours until the lease ends; its end names it in all that follows."""
    rows = await connection.fetch(statement("retention", "claim_channels"), sorted(channel_ids), now, lease)
    return {row["id"]: row["app_key"] for row in rows}


async def return_channels(connection: Connection, channel_ids: Iterable[int], *, lease: int) -> None:
    """Let go channels that were claimed and not visited: they are due as before."""
    await connection.execute(statement("retention", "return_channels"), sorted(channel_ids), lease)


async def check_lease(connection: Connection, channel_id: int, lease: int) -> None:
    """LeaseLost where another worker has claimed the channel meanwhile."""
    if not await connection.fetchval(statement("retention", "has_lease"), channel_id, lease):
        raise LeaseLost


async def get_floor(connection: Connection, channel_id: int, reach: Reach, *, most: int, now: int) -> Floor:
    """The floor of a channel below the end of its next `most` rows; LookupError where there is no channel."""
    # first where these end, so that the floor is planned for their months alone: no later message is below that
    batch = await connection.fetchrow(statement("retention", "get_batch"), channel_id, most)
    row = batch and await connection.fetchrow(
        statement("retention", "get_floor"), channel_id, *batch, reach.missed_from, reach.window_from, now
    )
    if batch is None or row is None:
        raise LookupError("a channel's row is never deleted")
    needed = {name: NEVER if row[name] is None else row[name] for name in _RULES}
    return Floor(
        **needed,
        end=batch["ends"],
        tip=row["tip"],
        expires_at=row["expires_at"],
        max_age=row["max_age"],
        held=row["held"],
        uncounted=row["uncounted"],
    )


async def grant(connection: Connection, channel_id: int, floor: int, *, lease: int) -> None:
    """Messages below may be deleted from now on; LeaseLost where another worker has claimed the channel meanwhile."""
    status: str = await connection.execute(statement("retention", "grant"), channel_id, floor, lease)
    if status != "UPDATE 1":
        raise LeaseLost


async def _deleted(connection: Connection, name: str, *arguments: object) -> int:
    status: str = await connection.execute(statement("retention", name), *arguments)
    return int(status.removeprefix("DELETE "))


async def delete_reclaimed(
    connection: Connection, channel_id: int, below: int, *, above: int, lease: int
) -> int:
    """Delete from `above` on what is below this and the grant; how many rows: none where another worker has the channel."""
    return await _deleted(connection, "delete_reclaimed", channel_id, below, above, lease)


async def finish_reclaimed(
    connection: Connection, channel_id: int, *, now: int, most: int
) -> tuple[bool, int | None]:
    """What goes with messages: references to files, rows that hid them, who wrote them, what their receipts were counted
    against, and the content of recalled ones where no hold covers them any more.

    Whether there is more of it, and the lowest position whose message is gone while somebody keeps its files.

    The caller shares the app's row, so that no hold comes in between.
    """
    kept_from = await media_store.judge_gone(connection, channel_id, now=now)
    await connection.execute(statement("retention", "delete_hidden"), channel_id)
    emptied = await connection.fetch(statement("retention", "empty_recalled"), channel_id)
    if emptied:
        positions = [row["position"] for row in emptied]
        await messages_store.delete_references(connection, channel_id, positions, now=now)
    await connection.execute(statement("retention", "update_emptied"), channel_id)
    senders = await _deleted(connection, "delete_senders", channel_id, most)
    forgettable = await connection.fetch(statement("retention", "list_forgettable"), channel_id, most)
    marks = await _delete_marks(connection, forgettable, most=most)
    return most in (senders, len(forgettable), marks), kept_from


async def delete_old_marks(connection: Connection, *, now: int, most: int) -> int:
    """Forget what receipts were counted against that are about to go; how many rows."""
    outdated = await connection.fetch(statement("retention", "list_outdated"), now, most)
    return await _delete_marks(connection, outdated, most=most)


async def _delete_marks(connection: Connection, requests: Sequence[Row], *, most: int) -> int:
    if not requests:
        return 0
    arrays = columns(requests, 2)
    deleted = await _deleted(connection, "delete_marks", *arrays, most)
    await connection.execute(statement("retention", "update_forgotten"), *arrays)
    return deleted


async def release_channel(
    connection: Connection,
    channel_id: int,
    *,
    lease: int,
    next_look: int | None,
    tip: int,
    look_at_rest: int,
    finished: bool,
) -> None:
    """Let a channel go and set when to look again, unless something marked it due since it was claimed.

    What was sent above `tip` meanwhile is looked at by `look_at_rest`. One that is not finished has been due all the time.
    """
    await connection.execute(
        statement("retention", "release_channel"), channel_id, lease, next_look, tip, look_at_rest, finished
    )


async def get_page_end(connection: Connection, first: int, *, most: int) -> int | None:
    """The channel after the next `most` of them, from `first` on; None where there are no more. MonthInUse as below."""
    with _in_use():
        end: int | None = await connection.fetchval(statement("retention", "get_page_end"), first, most)
    return end


async def get_needing(connection: Connection, month: Month, *, first: int, end: int | None) -> int | None:
    """The first channel of a page with a message of the month that is not granted; MonthInUse where it takes too long."""
    below = NEVER if end is None else end
    with _in_use():
        needing: int | None = await connection.fetchval(
            statement("retention", "get_needing"), month.first, month.next().first, first, below
        )
    return needing


async def lock_month(connection: Connection, month: Month) -> None:
    """Let imports into a month wait, and nobody else; MonthInUse where one is under way, or somebody drops a month."""
    with _in_use():
        await connection.execute("SET LOCAL lock_timeout = '50ms'; SET LOCAL statement_timeout = '2s'")
        if not await connection.fetchval(statement("retention", "lock_month"), month.number):
            raise MonthInUse
        # a vacuum would hold up the drop while all wait for that; with this lock everybody reads and writes
        await connection.execute(f"LOCK TABLE {month.table} IN SHARE UPDATE EXCLUSIVE MODE")


async def check_month(connection: Connection, month: Month) -> None:
    """MonthInUse where an import waits for a month that the caller has locked."""
    with _in_use():
        if await connection.fetchval(statement("retention", "is_month_awaited"), month.number):
            raise MonthInUse


async def drop_month(connection: Connection, month: Month) -> None:
    """Drop a month that the caller has locked and found to be below every grant; MonthInUse, and nothing is done, as above."""
    with _in_use():
        # a savepoint: the caller may try again
        async with connection.transaction():
            await connection.execute(f"DROP TABLE {month.table}")


@contextmanager
def _in_use() -> Iterator[None]:
    try:
        yield
    except (
        asyncpg.LockNotAvailableError,
        asyncpg.QueryCanceledError,
        asyncpg.DeadlockDetectedError,
        # another worker has dropped it
        asyncpg.UndefinedTableError,
    ) as exc:
        raise MonthInUse from exc
