"""Files: whether the store and the table agree."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from uuid import UUID

import click

from cli.errors import Refused
from history.config import Settings
from history.cursors import media_id
from history.database import open_database
from history.media.service import open_objects
from history.media.upkeep import Upkeep
from history.migrate import check as check_schema
from history.objects import SHELVES

_MOST_SHOWN = 20


@dataclass(slots=True)
class _Report:
    files: int = 0
    bytes: int = 0
    unfinished: int = 0
    strays: list[UUID] = field(default_factory=list)
    lost: list[UUID] = field(default_factory=list)


@click.group()
def media() -> None:
    """Look after files."""


@media.command()
@click.option(
    "--repair",
    is_flag=True,
    help="Delete objects without a row, and forget files whose object is gone.",
)
def check(*, repair: bool) -> None:
    """Compare the store of files with the table, both ways."""
    report = asyncio.run(_check(Settings.from_environ(os.environ), repair=repair))
    click.echo(f"files          {report.files}, {report.bytes} bytes")
    click.echo(f"under way      {report.unfinished}")
    click.echo(f"without a row  {_ids(report.strays)}")
    click.echo(f"lost           {_ids(report.lost)}")
    if (report.strays or report.lost) and not repair:
        raise Refused("The store and the table differ; bring the store back, or say --repair.")


async def _check(settings: Settings, *, repair: bool) -> _Report:
    objects = open_objects(settings)
    if objects is None:
        raise Refused("There are no files here: set TIDEMARK_MEDIA_DIR or TIDEMARK_MEDIA_URL.")
    report = _Report()
    async with (
        open_database(settings.database_url, readers=1, writers=1) as database,
        database.clock() as clock,
    ):
        await check_schema(database)
        upkeep = Upkeep(database, clock, objects)
        for shelf in range(SHELVES):
            found = await upkeep.compare(shelf)
            if repair:
                await upkeep.delete_strays(found.strays)
                await upkeep.forget_lost(found.lost)
            report.files += found.files
            report.bytes += found.bytes
            report.unfinished += len(found.unfinished)
            report.strays += found.strays
            report.lost += found.lost
    return report


def _ids(ids: list[UUID]) -> str:
    shown = [media_id(id_.bytes) for id_ in ids[:_MOST_SHOWN]]
    more = [f"and {len(ids) - _MOST_SHOWN} more"] if len(ids) > _MOST_SHOWN else []
    return " ".join([str(len(ids)), *shown, *more])
