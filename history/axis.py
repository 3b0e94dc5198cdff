"""The one axis: positions and instants are integers of microseconds since the epoch."""

from __future__ import annotations

MILLISECOND = 1_000
SECOND = 1_000 * MILLISECOND
DAY = 86_400 * SECOND
"""A rolling day; calendar days are computed in history.delivery.model alone."""
NEVER = (1 << 63) - 1
"""Above every position."""
