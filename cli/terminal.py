"""What `up` writes: one line for each step, plain where the output is not a terminal."""

from __future__ import annotations

import contextlib

import click

_COLOURS = {"api": "cyan", "worker": "magenta"}


def step(what: str, detail: str = "") -> None:
    """One step is done."""
    _write(click.style(f"{what:<11}", bold=True) + f" {detail}".rstrip())


def note(sentence: str) -> None:
    """Something worth knowing."""
    _write(click.style(sentence, fg="yellow"))


def ready(sentence: str) -> None:
    """All of it is up."""
    _write(click.style(sentence, fg="green", bold=True))


def plain(line: str = "") -> None:
    """A line to be copied as it is."""
    _write(line)


def part(name: str, line: str) -> None:
    """A line that the API or the worker wrote."""
    _write(click.style(f"{name:<6} |", fg=_COLOURS.get(name)) + f" {line}")


def _write(line: str) -> None:
    # The terminal may be gone (closed, or a pipe that ended); stopping in order matters more than saying so.
    with contextlib.suppress(OSError, ValueError):
        click.echo(line.encode("utf-8", "replace").decode("utf-8"))
