"""The one clock. Instants are microseconds since the epoch, the same axis as positions.

The time is Postgres's: its reading when last observed, plus this process's monotonic clock since. Processes on several
machines so agree on "now" as well as their database does. Use-cases read `now` once and hand it down.
"""

from __future__ import annotations

import time
from typing import Protocol

from history.axis import SECOND


class Clock(Protocol):
    """What tells the time. Tests hand in one that they set themselves."""

    def now(self) -> int:
        """The present instant, in microseconds."""

    def mark(self) -> int:
        """A stamp to hand back to `observe`, taken just before the database is asked."""

    def observe(self, reading: int, asked_at: int) -> bool:
        """Take in a reading of the database's clock; False if it was more than a second off."""


class DatabaseClock:
    """Postgres's time, carried forward by the monotonic clock."""

    def __init__(self) -> None:
        self._reading = 0
        self._at = time.monotonic_ns()

    def now(self) -> int:
        """The present instant, in microseconds."""
        return self._reading + (time.monotonic_ns() - self._at) // 1000

    def mark(self) -> int:
        """The monotonic clock, in nanoseconds."""
        return time.monotonic_ns()

    def observe(self, reading: int, asked_at: int) -> bool:
        """Correct the clock by a reading taken somewhere between `asked_at` and now.

        Inside that interval the reading says nothing new, so waiting for a lock does not look like a jump.
        """
        answered_at = time.monotonic_ns()
        earliest = self._reading + (asked_at - self._at) // 1000
        latest = self._reading + (answered_at - self._at) // 1000
        if reading < earliest:
            off, at = earliest - reading, asked_at
        elif reading > latest:
            off, at = reading - latest, answered_at
        else:
            return True
        self._reading, self._at = reading, at
        return off <= SECOND
