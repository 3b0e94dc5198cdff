"""What the bench says: one row a number, beside the limit that was measured in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Sense = Literal["min", "max"]


class Row(Struct, kw_only=True):
    """One number. `ratio` is value to limit, which `budget` bounds from below ("min") or above ("max")."""

    name: str
    value: float
    unit: str
    limit: str | None = None
    """What the number is set beside, in words and with its own number."""
    ratio: float | None = None
    budget: float | None = None
    sense: Sense = "min"
    holds: bool | None = None
    """None where there is no budget."""


def beside(
    name: str,
    values: Sequence[float],
    limits: Sequence[float],
    *,
    unit: str,
    limit: str,
    budget: float | None = None,
    sense: Sense = "min",
) -> Row:
    """A row of rounds that were measured in turn: medians, and the median of the ratios of each round."""
    ratio = statistics.median(value / other for value, other in zip(values, limits, strict=True))
    holds = None if budget is None else (ratio >= budget if sense == "min" else ratio <= budget)
    return Row(
        name=name,
        value=statistics.median(values),
        unit=unit,
        limit=f"{limit}: {shown(statistics.median(limits))} {unit}",
        ratio=ratio,
        budget=budget,
        sense=sense,
        holds=holds,
    )


def times(
    name: str, values: Sequence[float], limits: Sequence[float], *, limit: str, budget: float | None = None
) -> Row:
    """A row of latencies (ms) that may be at most so many times the others."""
    return beside(name, values, limits, unit="ms", limit=limit, budget=budget, sense="max")


def shown(value: float) -> str:
    """A number as a person reads it: three digits that count."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
