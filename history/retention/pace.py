"""How fast reclaim goes. Pure: what was measured comes in, the next batch and the rest before it come out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from history.axis import SECOND

MOST_BATCH = 50_000
"""What a transaction costs by itself is lost in so many rows: more at once would only hold back who waits."""
_LEAST_BATCH, _FIRST_BATCH = 500, 1_000
_BATCH_SECONDS = 0.01
_MINUTE = 60 * SECOND
_STRAINED, _UNFELT_SECONDS = 2.0, 0.0005
"""Beside a batch of ours a quick read takes twice as long on a machine that is otherwise idle: that is nobody's harm."""
_STEP = 1.25
"""One read that is slow or quick by chance moves what is felt by no more than this factor: it follows the median."""
_FIRST_EASE = 4.0
_EASE_ALONE, _EASE_BESIDE = (1.0, 4.0), (16.0, 32.0)
"""The least and the most, where nobody writes and where somebody does."""
_MOST_REST_SECONDS = 1.0
_DRAIN = 2.5
"""A little over the two that are promised: what is known of the inflow is some seconds old."""


@dataclass(slots=True)
class Pace:
    """The rule: a batch is what is deleted in 10 to 20 ms. While it is deleted a trivial read is timed; where that takes
    more than twice as long as at its calmest of the last minute or two, and half a millisecond longer, the next rest is
    longer by half, else shorter by a quarter. A rest is as long as the work to four times as long where nobody writes,
    sixteen to thirty-two times as long where somebody does, and never so long that less than two and a half times as many
    messages go as come in."""

    batch: int = _FIRST_BATCH
    """How many rows the next batch takes at most."""
    ease: float = _FIRST_EASE
    """How many times as long as the work a rest is."""
    felt: float = 0.0
    """What a trivial read takes, in seconds, as several of them say."""
    calm: float = math.inf
    """The lowest of what was felt in the minute before this one."""
    lowest: float = math.inf
    """The lowest in this minute."""
    minute: int = 0
    """Which one this is."""

    def after(self, *, rows: int, took: float, work: float, read: float, inflow: float, now: int) -> float:
        """How long to rest, in seconds, after a batch of so many rows that took `took` seconds, and `work` with all around it.

        `read` is what a trivial read took meanwhile, in seconds; `inflow` the messages a second that come in.
        """
        # by itself: what its floor costs, in a group of many members, a smaller batch would only pay more often
        if took > 2 * _BATCH_SECONDS:
            self.batch = max(_LEAST_BATCH, self.batch // 2)
        elif took < _BATCH_SECONDS and rows >= self.batch:
            self.batch = min(MOST_BATCH, self.batch * 3 // 2)
        least, most = _EASE_BESIDE if inflow > 0 else _EASE_ALONE
        eased = self.ease * (1.5 if self._is_strained(read, now) else 0.75)
        self.ease = min(most, max(least, eased))
        rest = min(_MOST_REST_SECONDS, work * self.ease)
        if inflow > 0:
            # a look that found nothing stands before others that may find something
            rest = min(rest, rows / (_DRAIN * inflow) - work if rows else work)
        return max(0.0, rest)

    def _is_strained(self, read: float, now: int) -> bool:
        minute = now // _MINUTE
        if minute > self.minute + 1:
            # what was felt before a pause says nothing of now
            self.felt, self.lowest = read, math.inf
        if minute != self.minute:
            self.calm, self.lowest, self.minute = self.lowest, math.inf, minute
        self.felt *= _STEP if read > self.felt else 1 / _STEP
        self.lowest = min(self.lowest, self.felt)
        calmest = min(self.calm, self.lowest)
        return self.felt > max(_STRAINED * calmest, calmest + _UNFELT_SECONDS)
