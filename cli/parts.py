"""The parts one by one, told by the environment where PostgreSQL and Redis are."""

from __future__ import annotations

import asyncio
import os

import click

from cli.address import check_free
from cli.errors import Refused
from cli.several import serve_together
from history import migrate as schema
from history.config import MOST_PROCESSES, Settings
from server import app as api
from worker import settings as jobs


@click.command()
@click.option("--host", help="Address to listen on [default: TIDEMARK_HOST, else 127.0.0.1].")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on [default: TIDEMARK_PORT, else 8080]."
)
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    help="Processes that share the port [default: TIDEMARK_PROCESSES, else 1].",
)
def serve(host: str | None, port: int | None, processes: int | None) -> None:
    """Run the API."""
    given = {"TIDEMARK_HOST": host, "TIDEMARK_PORT": port, "TIDEMARK_PROCESSES": processes}
    environ = {**os.environ, **{name: str(value) for name, value in given.items() if value}}
    settings = Settings.from_environ(environ)
    if settings.processes > 1:
        serve_together(settings, environ)
        return
    check_free(settings.host, settings.port)
    api.serve(settings)


@click.command()
def worker() -> None:
    """Run the worker, which applies cleans and reclaims space."""
    jobs.run(Settings.from_environ(os.environ))


@click.command()
def migrate() -> None:
    """Make the database's schema, or bring it to this version."""
    # Only the database is touched, so only its address is asked for.
    url = os.environ.get("TIDEMARK_DATABASE_URL", "")
    if not url.startswith(("postgresql://", "postgres://")):
        raise Refused("Set TIDEMARK_DATABASE_URL to a URL like postgresql://user:password@host/database.")
    version = asyncio.run(schema.migrate(url))
    click.echo(f"The schema is at version {version}.")
