"""`make bench`: measure everything, print a table, write results.json and the pictures."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from bench import cleaning, groups, histories, importing, reclaiming, sending, sizes, syncs
from bench.ground import Ground, open_ground
from bench.pictures import draw
from bench.rows import Row, shown

PARTS: dict[str, Callable[[Ground], Awaitable[list[Row]]]] = {
    "sizes": sizes.measure,
    "reclaiming": reclaiming.measure,
    "sending": sending.measure,
    "cleaning": cleaning.measure,
    "importing": importing.measure,
    "histories": histories.measure,
    "syncs": syncs.measure,
    "groups": groups.measure,
}
_HERE = Path(__file__).parent


@click.command()
@click.option("--full", is_flag=True, help="Histories of up to 10^7 messages instead of 10^6.")
@click.option(
    "--only", multiple=True, type=click.Choice(list(PARTS)), help="These parts alone; nothing is written."
)
def main(*, full: bool, only: tuple[str, ...]) -> None:
    """Measure Tidemark on this machine."""
    console = Console()
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows, figures = runner.run(_measure(console, only or tuple(PARTS), full=full))
    console.print(_table(rows))
    console.print(f"{platform.machine()}, {time.monotonic() - began:.0f} s", highlight=False)
    if not only:
        (_HERE / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
        draw(rows, figures, _HERE / "pictures")


async def _measure(
    console: Console, parts: tuple[str, ...], *, full: bool
) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    async with open_ground(full=full, console=console) as ground:
        for name in parts:
            console.print(name, style="bold")
            rows += await PARTS[name](ground)
    return rows, ground.figures


def _table(rows: list[Row]) -> Table:
    table = Table("what", "measured", "beside", "ratio", "budget", "")
    for row in rows:
        sign = "at least" if row.sense == "min" else "at most"
        table.add_row(
            row.name,
            f"{shown(row.value)} {row.unit}",
            row.limit or "",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.budget is None else f"{sign} {row.budget:g}",
            {True: "holds", False: "[red]missed[/red]", None: ""}[row.holds],
        )
    return table


if __name__ == "__main__":
    main()
