"""What cleans did: counted step by step against what apply saw, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from history.channels.model import ChannelKey, ChannelType
from history.database import Connection, Row, columns
from history.delivery.model import Reach
from history.queries import statement
from history.receipts.model import Facts, Filter, Numbers, Plan, Receipt

_MOST_LISTED = 2_000
"""Rows that are looked at for one receipt of a list: a page of 100 stays a matter of tenths of a second."""
Request = tuple[int, UUID]
"""(channel id, id)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of counting found."""

    before: int
    """How far the request was counted."""
    rows: int
    last: int | None
    hidden: int
    kept_missed: int
    kept_compensation: int


async def list_uncounted(connection: Connection, *, after: int, most: int) -> list[Request]:
    """Requests that are still to be counted, of the channels with ids above `after`, in their order."""
    rows = await connection.fetch(statement("receipts", "list_uncounted"), after, most)
    return [(row["channel_id"], row["id"]) for row in rows]


async def count_steps(
    connection: Connection, requests: Sequence[Request], *, most: int
) -> dict[Request, Step]:
    """Judge the next rows of each request against what apply saw; one that is not there is left out.

    The cost of each grows with its rows and with its members, not with both.
    """
    rows = await connection.fetch(
        statement("receipts", "count_steps"), [id_ for id_, _ in requests], [id_ for _, id_ in requests], most
    )
    return {
        (row["channel_id"], row["id"]): Step(
            before=row["before"],
            rows=row["rows"],
            last=row["last"],
            hidden=row["hidden"],
            kept_missed=row["kept_missed"],
            kept_compensation=row["kept_compensation"],
        )
        for row in rows
        if row["before"] is not None
    }


async def update_counted(
    connection: Connection, steps: Mapping[Request, Step], done: Mapping[Request, int]
) -> None:
    """Add steps to the numbers, each unless somebody else did so; `done`: when those were counted that are."""
    rows = [
        (
            *request,
            step.before,
            step.before if step.last is None else step.last,
            step.hidden,
            step.kept_missed,
            step.kept_compensation,
            done.get(request),
        )
        for request, step in sorted(steps.items())
    ]
    await connection.execute(statement("receipts", "update_counted"), *columns(rows, 8))


async def get_receipt(connection: Connection, app_key: str, channel_id: int, id_: UUID) -> Receipt | None:
    """A request and what it did."""
    row = await connection.fetchrow(statement("receipts", "get_receipt"), app_key, channel_id, id_)
    return await _receipt(connection, row) if row else None


async def list_receipts(
    connection: Connection, wanted: Filter, *, below: tuple[int, UUID], most: int
) -> list[Receipt]:
    """A page of requests and what they did, the newest first."""
    async with connection.transaction():
        # what is asked for decides which way is short
        await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        rows = await connection.fetch(
            statement("receipts", "list_receipts"),
            wanted.app_key,
            wanted.user_id,
            wanted.channel_id,
            wanted.state,
            wanted.first,
            wanted.end,
            *below,
            most,
        )
    return [await _receipt(connection, row, most=_MOST_LISTED) for row in rows]


async def get_plan(
    connection: Connection,
    channel_id: int,
    user_id: str,
    *,
    before: int,
    flag: bool | None,
    app_flag: bool,
    reach: Reach,
    now: int,
    most: int,
) -> Plan | None:
    """What a clean would do now; None where there is no such channel."""
    row = await connection.fetchrow(
        statement("receipts", "preview"),
        channel_id,
        user_id,
        before,
        flag,
        reach.missed_from,
        reach.window_from,
        now,
        app_flag,
        most,
    )
    if row is None:
        return None
    return Plan(cutoff=row["cutoff"], numbers=_numbers(row, held=row["held"]), complete=row["rows"] < most)


def _numbers(row: Row, *, held: bool) -> Numbers:
    return Numbers(
        hidden=row["hidden"],
        kept_missed=row["kept_missed"],
        kept_compensation=row["kept_compensation"],
        kept_held=row["hidden"] if held else 0,
    )


async def _receipt(connection: Connection, row: Row, *, most: int | None = None) -> Receipt:
    """What is gone is counted among `most` rows on disk, and nobody knows where there are more."""
    # what was applied before receipts were kept was never seen: nobody knows
    counted = row["counted_at"] is not None and row["missed_from"] is not None
    gone = row["state"] == "settled" and not row["on_disk"]
    return Receipt(
        channel_id=row["channel_id"],
        id=row["id"],
        channel=ChannelKey(row["app_key"], ChannelType(row["channel_type"]), tuple(row["channel_key"])),
        user_id=row["user_id"],
        operator=row["operator"],
        state="reclaimed" if gone else row["state"],
        cutoff=row["cutoff"],
        accepted_at=row["accepted_at"],
        applied_at=row["applied_at"],
        settled_at=row["settled_at"],
        undo_until=row["undo_until"],
        reason=row["reason"],
        source=row["source"],
        delete_compensated=row["delete_compensated"],
        delete_compensated_from=row["delete_compensated_from"],
        delete_media=row["delete_media"],
        cancelled_at=row["cancelled_at"],
        cancelled_by=row["cancelled_by"],
        cancel_reason=row["cancel_reason"],
        numbers=_numbers(row, held=bool(row["held"])) if counted else None,
        reclaimed_messages=await _reclaimed(connection, row, most) if counted else None,
        reclaimed_files=row["reclaimed_files"] if counted else None,
        reclaimed_bytes=row["reclaimed_bytes"] if counted else None,
    )


async def _reclaimed(connection: Connection, row: Row, most: int | None) -> int | None:
    hidden: int = row["hidden"]
    if row["state"] == "cancelled":
        return 0
    # counted only where something of it can be gone, and something be left
    if not row["on_disk"] or not hidden or not row["touched"]:
        return 0 if row["on_disk"] else hidden
    left = await connection.fetchrow(
        statement("receipts", "count_on_disk"), row["channel_id"], row["id"], most
    )
    return None if left is None or left["rows"] == most else hidden - left["hidden"]


async def get_facts(
    connection: Connection,
    app_key: str,
    channel_id: int,
    position: int,
    *,
    user_id: str,
    device_id: str | None,
    reach: Reach,
    now: int,
) -> Facts | None:
    """All that decides about one message for one user; None where there is no such channel."""
    row = await connection.fetchrow(
        statement("receipts", "explain"), app_key, channel_id, position, user_id, device_id, now
    )
    if row is None:
        return None
    return Facts(
        position=position,
        type=ChannelType(row["type"]),
        exists=position <= row["last_position"],
        on_disk=row["on_disk"],
        reclaimed_to=row["reclaimed_to"],
        held=row["held"],
        ended=row["ended"],
        policy_from=row["policy_from"] or 0,
        participant=row["participant"],
        join_position=row["join_position"] or 0,
        history_cutoff=row["history_cutoff"] or 0,
        sync_cutoff=row["sync_cutoff"] or 0,
        delivered_position=row["delivered_position"] or 0,
        device_position=row["device_position"],
        missed_from=reach.missed_from,
        window_from=reach.window_from,
        own=row["sender"] == user_id,
        addressed=row["recipients"] is None or user_id in row["recipients"],
        flags=row["flags"] or 0,
        recalled=row["recall_stamp"] is not None,
        hidden_by_id=row["hidden_by_id"],
    )
