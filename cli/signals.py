"""A wish to stop, noticed at safe points only.

A handler that raises could strike between starting a child and noting that it runs. Here the handler only notes the
signal, and every wait of `up` asks `checkpoint`.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """Somebody asked to stop."""


class StopSignal:
    """While entered, SIGINT, SIGTERM and SIGHUP are noted instead of obeyed, however often they come."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in HEEDED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def checkpoint(self) -> None:
        """Raises Stopped once a signal was noted."""
        if self.received is not None:
            raise Stopped(self.received.name)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)
