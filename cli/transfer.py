"""Import and export by way of the running API, as any backend could do it."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli import backend as backends
from cli import sorting, stream
from cli.backend import Backend
from cli.errors import Refused
from cli.sorting import Numbered

_MOST_LINES = 100_000
"""Of one request: their numbers are in memory."""
_REPORT_EVERY = 1_000


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        """As text; nothing before there is one."""
        return Text("" if task.speed is None else f"{task.speed:,.0f} rows/s")


@dataclass(slots=True)
class _Report:
    imported: int = 0
    there: int = 0
    refused: int = 0


@click.command(name="import")
@click.argument("file", metavar="FILE|-", type=click.Path(path_type=Path, exists=True, allow_dash=True))
@backends.options
def import_(
    file: Path, *, url: str | None, app_key: str | None, secret_file: Path | None, data: Path
) -> None:
    """Import messages with their own times: a line of JSON each, in any order. Run it again to go on where it ended."""
    backend = backends.find(url=url, app_key=app_key, secret_file=secret_file, data=data)
    with (
        _opened(file) as lines,
        tempfile.TemporaryDirectory(prefix="tidemark-import-") as folder,
        _bar() as bar,
    ):
        report = _import(backend, lines, Path(folder), bar)
    click.echo(f"imported {report.imported}, already there {report.there}, refused {report.refused}")
    if report.refused:
        raise SystemExit(1)


@click.command()
@click.argument(
    "file", metavar="[FILE|-]", type=click.Path(path_type=Path, allow_dash=True), default=Path("-")
)
@click.option("--channel-type", type=click.Choice(["1", "3", "4", "6"]), help="Only one channel: its type.")
@click.option("--channel-id", help="Its id.")
@click.option("--user", help="Of a direct or system channel, who calls it by that id.")
@click.option(
    "--from", "start", help="Only what was sent from then on: milliseconds, or a time as 2026-01-31."
)
@click.option("--to", "end", help="Only what was sent before.")
@backends.options
def export(
    file: Path,
    *,
    channel_type: str | None,
    channel_id: str | None,
    user: str | None,
    start: str | None,
    end: str | None,
    url: str | None,
    app_key: str | None,
    secret_file: Path | None,
    data: Path,
) -> None:
    """Export messages: a line of JSON each, as `import` takes them."""
    backend = backends.find(url=url, app_key=app_key, secret_file=secret_file, data=data)
    asked = {
        "channelType": channel_type,
        "channelId": channel_id,
        "userId": user,
        "startAt": _milliseconds(start),
        "endAt": _milliseconds(end),
    }
    query = {name: value for name, value in asked.items() if value is not None}
    with _written(file) as lines, _bar() as bar:
        count = asyncio.run(_export(backend, query, lines, bar))
    click.echo(f"exported {count}", err=True)


def _import(backend: Backend, file: BinaryIO, folder: Path, bar: Progress) -> _Report:
    report = _Report()
    reading = bar.add_task("reading", total=None)
    total = 0

    def read() -> Iterator[Numbered]:
        nonlocal total
        for number, line in sorting.numbered(file):
            if line:
                total += 1
                yield number, line
            else:
                report.refused += 1
                _say(bar, f"line {number}: The line is too long: at most 8 MiB.")
            if not number % _REPORT_EVERY:
                bar.update(reading, completed=number)

    ordered = sorting.by_channel(read(), folder)
    following = next(ordered, None)
    bar.remove_task(reading)
    storing = bar.add_task("importing", total=total)
    while following is not None:
        following = asyncio.run(_send(backend, following, ordered, report, bar, storing))
    return report


async def _send(
    backend: Backend,
    first: Numbered,
    rest: Iterator[Numbered],
    report: _Report,
    bar: Progress,
    task: TaskID,
) -> Numbered | None:
    """One request; the line after its last one."""
    numbers = array("Q")
    following: Numbered | None = first
    before = bar.tasks[bar.task_ids.index(task)].completed

    def body() -> Iterator[bytes]:
        nonlocal following
        while following is not None and len(numbers) < _MOST_LINES:
            numbers.append(following[0])
            yield following[1]
            following = next(rest, None)
            if not len(numbers) % _REPORT_EVERY:
                bar.update(task, completed=before + len(numbers))

    done: dict[str, Any] = {}
    async for text in stream.lines(backend, "POST", "/v4/message/import", query={}, body=body()):
        said = json.loads(text)
        if "line" in said:
            _say(bar, f"line {numbers[said['line'] - 1]}: {said['errorMessage']}")
        else:
            done = said
    if not done:
        raise Refused("The answer broke off. Run it again: what is imported is not imported twice.")
    report.imported += done["imported"]
    report.there += done["alreadyThere"]
    report.refused += done["refused"]
    if not done["complete"]:
        raise Refused(
            f"The import stopped after {report.imported} messages: {done['errorMessage']} Run it again to go on."
        )
    bar.update(task, completed=before + len(numbers))
    return following


async def _export(backend: Backend, query: dict[str, str], file: BinaryIO, bar: Progress) -> int:
    task, count = bar.add_task("exporting", total=None), 0
    async for line in stream.lines(backend, "GET", "/v4/message/export", query=query):
        file.write(line)
        count += 1
        if not count % _REPORT_EVERY:
            bar.update(task, completed=count)
    return count


def _bar() -> Progress:
    """On stderr, and only where a person sees it."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _say(bar: Progress, sentence: str) -> None:
    bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with file.open("rb") as opened:
        yield opened


@contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """A file is there whole or not at all. A link, a device or a pipe stays what it is: it is written into."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if not _replaceable(file):
        with file.open("wb") as opened:
            yield opened
        return
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as opened:
            yield opened
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)


def _replaceable(file: Path) -> bool:
    """Whether a new file may take its place: nothing is there, or a regular file."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except FileNotFoundError:
        return True


def _milliseconds(text: str | None) -> str | None:
    """An instant as the API wants it; a time without a zone is of UTC."""
    if text is None or text.isdigit():
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"{text} is no time: write 2026-01-31, or milliseconds since 1970.") from error
    return str(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
