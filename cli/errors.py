"""How a command ends early: with one sentence on stderr and status 1, never with a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from history.errors import TidemarkError


class Refused(click.ClickException):
    """The command cannot do what was asked; its message is one sentence that says why and what would help."""


@contextmanager
def as_sentences() -> Iterator[None]:
    """Turns what the product refuses into the sentence that it already is, and what the system refuses into one."""
    try:
        yield
    except TidemarkError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"The system refused: {error}.") from error


def reason(error: OSError) -> str:
    """What the operating system said, in its own words and without the path (the sentence around it has that)."""
    return (error.strerror or str(error)).lower()
