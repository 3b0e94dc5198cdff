"""`python -m cli.child CONTROL LISTENING…`: one of the processes that `serve` starts, on sockets that it was given."""

from __future__ import annotations

import os
import socket

import click

from cli.errors import as_sentences
from history.config import Settings
from server import app as api


@click.command()
@click.argument("control", type=int)
@click.argument("listening", type=int, nargs=-1)
def child(control: int, listening: tuple[int, ...]) -> None:
    """Answer requests on these sockets, by their numbers, until the parent is gone."""
    with as_sentences():
        api.serve_on(
            Settings.from_environ(os.environ),
            [socket.socket(fileno=number) for number in listening],
            socket.socket(fileno=control),
        )


if __name__ == "__main__":
    child()
