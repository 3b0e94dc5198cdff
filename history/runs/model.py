"""A run of the retention job: what all workers did in one minute for one app, and whether that was enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from history.axis import SECOND

WINDOW = 60 * SECOND
"""The job comes every second, and a row each time would bury the list: a run is a minute of it."""
LATE = 300 * SECOND
"""A channel that is due is usually visited within a second or two."""
SILENT = 3 * WINDOW
"""A job takes a minute at most: without a row for so long, no worker runs."""
_TOLD_EVERY = 5 * SECOND
MOST_COUNTED = 10_000
"""Due channels are counted up to here for each app, so that looking at a backlog costs the same however long it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The channels of an app that wait to be looked at."""

    due: int
    """How many, up to MOST_COUNTED."""
    age: int
    """For how long the first of them has been due, in microseconds, also where visits left it before its end; 0 where none
    is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What some visits to channels of one app did."""

    done: int
    """Channels that were visited to their end."""
    unfinished: int
    """Visits that left a channel before its end: it stays due."""
    deleted: int
    """Messages that were deleted from disk."""


NO_WORK = Work(done=0, unfinished=0, deleted=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One minute of the retention job for one app. Instants and ages are microseconds."""

    app_key: str
    started_at: int
    due: int
    """Channels that were due when it began, up to MOST_COUNTED."""
    remaining: int
    """Channels that are due after its last visit, up to MOST_COUNTED."""
    backlog_age: int
    """For how long the first of these has been due."""
    done: int
    unfinished: int
    deleted: int
    appended: int
    """Messages that came in meanwhile, as the API processes told."""
    bytes_before: int | None = None
    """What the messages of all apps took on disk when it began; None in a run of an older version."""
    bytes_after: int | None = None
    """And after the last month that was dropped in it; without one, as before."""
    dropped_months: Sequence[str] = ()
    """Partitions that were dropped whole."""

    def is_over(self, now: int) -> bool:
        """Whether its minute has passed."""
        return now >= self.started_at + WINDOW

    def per_second(self, messages: int, *, now: int) -> float:
        """So many messages of this run as a rate."""
        return messages * SECOND / max(SECOND, min(WINDOW, now - self.started_at))

    @property
    def keeps_up(self) -> bool:
        """A run keeps up unless a channel that was due had waited for more than five minutes, or was left before its
        end, and no more messages were deleted than came in."""
        late = self.backlog_age > LATE or self.unfinished > 0
        return not late or self.deleted > self.appended


def inflow(appended: Mapping[int, int], *, now: int) -> float:
    """Messages a second that come in, by what was told by the minute: in this one or the last, whichever were more."""
    this = now - now % WINDOW
    over = max(_TOLD_EVERY, now - this)
    return max(appended.get(this - WINDOW, 0) / WINDOW, appended.get(this, 0) / over) * SECOND


def behind(runs: Sequence[Run]) -> str | None:
    """How far the apps are behind whose last run did not keep up, as a line for people; None where all keep up."""
    late = [run for run in runs if not run.keeps_up]
    if not late:
        return None
    apps = "1 app" if len(late) == 1 else f"{len(late)} apps"
    minute = WINDOW // SECOND
    return (
        f"Retention falls behind in {apps}: {sum(run.remaining for run in late)} channels are due, "
        f"the longest for {max(run.backlog_age for run in late) // SECOND} s; in its last minute "
        f"{sum(run.deleted for run in late) / minute:.1f} messages a second were deleted "
        f"and {sum(run.appended for run in late) / minute:.1f} came in."
    )


def silent(*, last: int | None, first_app: int | None, now: int) -> str | None:
    """That no worker runs, as a line for people: `last` is when the last run began, None where none ever did."""
    if last is not None and last <= now - SILENT:
        return (
            f"Retention does not run: its last run began {(now - last) // SECOND} s ago. Is a worker there?"
        )
    if last is None and first_app is not None and first_app <= now - SILENT:
        return "Retention has never run. Is a worker there?"
    return None
