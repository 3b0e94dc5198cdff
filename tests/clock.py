"""A clock that stands still until a test moves it."""

from __future__ import annotations


class FixedClock:
    """Implements history.clock.Clock; the database's own clock is not heard."""

    def __init__(self, now: int) -> None:
        """`now` in microseconds since the epoch."""
        self._now = now

    def now(self) -> int:
        """The instant that the test has set."""
        return self._now

    def set(self, now: int) -> None:
        """Go to another instant."""
        self._now = now

    def advance(self, microseconds: int) -> None:
        """Let time pass."""
        self._now += microseconds

    def mark(self) -> int:
        """A stamp, as the services want one; it means nothing here."""
        return 0

    def observe(self, reading: int, asked_at: int) -> bool:  # noqa: ARG002 - the names are the protocol's
        """No reading is ever off."""
        return True
