"""Instants as RyzeAPI writes them. One stands for all of its last unit: a day, a second or a millisecond."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from history.axis import DAY, MILLISECOND, NEVER, SECOND
from history.errors import InvalidInput
from history.messages.model import Range

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def range_of(first: str | None, last: str | None) -> Range:
    """From the first to the last instant, both included; without one, from the start or to the end."""
    start, _ = _unit(first, "from") if first else (0, 0)
    _, end = _unit(last, "to") if last else (0, NEVER)
    return Range(first=max(start, 0), end=max(end, 0))


def written(position: int) -> str:
    """A position, to the millisecond."""
    at = _EPOCH + timedelta(microseconds=position)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _unit(text: str, field: str) -> tuple[int, int]:
    """The first position of what is written, and the first after it."""
    try:
        unit, at = _read(text.strip())
        position = (at - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError) as exc:
        raise InvalidInput(
            field,
            f"invalid '{field}' date format. Use ISO 8601 format (e.g., '2026-02-16T18:32:39Z')",
        ) from exc
    start = position - position % unit
    return start, start + unit


def _read(text: str) -> tuple[int, datetime]:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        fraction = "." in text or "," in text
        return MILLISECOND if fraction else SECOND, at if at.tzinfo else at.replace(tzinfo=UTC)
    return DAY, datetime(day.year, day.month, day.day, tzinfo=UTC)
