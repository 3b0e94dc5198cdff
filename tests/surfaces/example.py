"""One right request for a route of a surface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Place = tuple[str, str]
"""(method, path) of a route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One right request. `form`: the body is a form, else JSON."""

    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    form: bool = False
    names: dict[str, str] = field(default_factory=dict)
    """What stands for the names in the path."""
