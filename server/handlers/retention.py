"""What the retention job did, for admins."""

from __future__ import annotations

from history.axis import MILLISECOND, SECOND
from history.runs.model import WINDOW, Run
from server.calls import Call, Reply
from server.wire import admin as wire

_DEFAULT_PAGE = 20


async def list_runs(call: Call[None]) -> Reply:
    """The runs of the retention job for one app, the newest first; each is a minute of it."""
    query: wire.RunsQuery = call.query
    now = call.services.clock.now()
    page, cursor = await call.services.runs.list(
        call.path["appKey"], cursor=query.cursor or None, most=query.limit or _DEFAULT_PAGE
    )
    return Reply(result=wire.RunPage([_run(run, now=now) for run in page], cursor))


def _run(run: Run, *, now: int) -> wire.RunView:
    over = run.is_over(now)
    return wire.RunView(
        startedAt=run.started_at // MILLISECOND,
        endedAt=(run.started_at + WINDOW) // MILLISECOND if over else None,
        due=run.due,
        done=run.done,
        unfinished=run.unfinished,
        left=run.remaining,
        backlogAgeSeconds=run.backlog_age // SECOND,
        deletedMessages=run.deleted,
        receivedMessages=run.appended,
        drain=round(run.per_second(run.deleted, now=now), 3),
        inflow=round(run.per_second(run.appended, now=now), 3),
        keepsUp=run.keeps_up if over else None,
        bytesBefore=run.bytes_before,
        bytesAfter=run.bytes_after,
        droppedMonths=[month.removeprefix("messages_").replace("_", "-") for month in run.dropped_months],
    )
