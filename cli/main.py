"""The command line: one group, one module for each family of commands."""

from __future__ import annotations

from typing import Any

import click

from cli.apps import apps, keys
from cli.demo import demo
from cli.errors import as_sentences
from cli.media import media
from cli.parts import migrate, serve, worker
from cli.transfer import export, import_
from cli.up import up


class Group(click.Group):
    """All that the product refuses becomes one sentence and status 1, whichever command met it."""

    def invoke(self, ctx: click.Context) -> Any:
        with as_sentences():
            return super().invoke(ctx)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tidemark")
def main() -> None:
    """Tidemark: a self-hosted chat message store with a history-retention service."""


for command in (up, serve, worker, migrate, apps, keys, media, import_, export, demo):
    main.add_command(command)
