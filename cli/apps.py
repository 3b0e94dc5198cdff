"""Apps and admin keys, for whoever can reach the database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import click

from history.apps.service import Apps, open_apps
from history.config import Settings
from history.database import open_database
from history.migrate import check

T = TypeVar("T")


@click.group()
def apps() -> None:
    """Make and list apps (tenants), and give them new secrets."""


@apps.command()
@click.argument("name")
def create(name: str) -> None:
    """Make the app NAME and show its keys, once."""
    new = _with_apps(lambda service: service.create(name))
    click.echo(f"appKey     {new.app_key}\nappSecret  {new.app_secret}\napiKey     {new.api_key}")
    _say_once()


@apps.command(name="list")
def list_() -> None:
    """List all apps: key, when it was made, name."""
    for app in _with_apps(lambda service: service.list()):
        made = datetime.fromtimestamp(app.created_at // 1_000_000, UTC)
        click.echo(f"{app.app_key}  {made:%Y-%m-%dT%H:%M:%SZ}  {app.name}")


@apps.command()
@click.argument("app_key", metavar="APPKEY")
def rotate(app_key: str) -> None:
    """Give the app APPKEY a new secret; the old one ends within a second."""
    click.echo(f"appSecret  {_with_apps(lambda service: service.rotate_secret(app_key))}")
    _say_once()


@click.group()
def keys() -> None:
    """Make keys for the admin API."""


@keys.command(name="create-admin")
@click.argument("name")
def create_admin(name: str) -> None:
    """Make an admin key called NAME and show it, once."""
    click.echo(f"adminKey   {_with_apps(lambda service: service.create_admin_key(name))}")
    _say_once()


def _say_once() -> None:
    click.echo("Secrets are shown only now: keep them.", err=True)


def _with_apps(use: Callable[[Apps], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = Settings.from_environ(os.environ)
        async with open_database(settings.database_url, readers=1, writers=1) as database:
            await check(database)
        async with open_apps(settings) as service:
            return await use(service)

    return asyncio.run(run())
