"""SQL in named blocks, read once from the `queries.sql` beside a store.

A block starts at `-- name: get_thing`, says in a comment what it does and, where it depends on one, `-- index: its_index`.
A block named `-- rule: missed` is a condition that other blocks include as `{{delivery.missed}}`, so that a rule is
written once. Rules may be included by their own feature and by the features above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HEADER = re.compile(r"^-- (name|rule): (\w+)$", re.MULTILINE)
_INCLUDE = re.compile(r"\{\{(\w+)\.(\w+)\}\}")
_INDEX = re.compile(r"^-- index: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One statement or rule, with the indexes that its plan must use."""

    name: str
    kind: str
    sql: str
    indexes: tuple[str, ...]


@cache
def blocks(feature: str) -> dict[str, Block]:
    """The blocks of a feature's queries.sql by name, its includes resolved."""
    text = (Path(__file__).parent / feature / "queries.sql").read_text(encoding="utf-8")
    parts = _HEADER.split(text)[1:]
    found: dict[str, Block] = {}
    for kind, name, body in zip(parts[0::3], parts[1::3], parts[2::3], strict=True):
        found[name] = Block(name, kind, body, tuple(_INDEX.findall(body)))

    def include(match: re.Match[str]) -> str:
        source = found if match[1] == feature else blocks(match[1])
        rule = "\n".join(line for line in source[match[2]].sql.splitlines() if not line.startswith("--"))
        return f"({_INCLUDE.sub(include, rule).strip()})"

    return {
        name: Block(name, block.kind, _INCLUDE.sub(include, block.sql).strip(), block.indexes)
        for name, block in found.items()
    }


def statement(feature: str, name: str) -> str:
    """The text of one statement."""
    return blocks(feature)[name].sql
