"""What a round of the sweep did."""

from __future__ import annotations

from dataclasses import astuple, dataclass

MOST_ROWS = 1_000
"""Rows that one transaction deletes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """How many rows went from each side table."""

    message_keys: int
    recalls: int
    tokens: int
    devices: int
    conversations: int
    clean_requests: int
    clean_marks: int
    jobs: int
    retention_runs: int

    @property
    def more(self) -> bool:
        """Whether some table had a full batch."""
        most: int = max(astuple(self))
        return most >= MOST_ROWS
