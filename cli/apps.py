"""Apps and admin keys, for whoever can reach the database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

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
        click.echo(f"{app.app_key}  {_time(app.created_at)}  {app.name}")


@apps.command()
@click.argument("app_key", metavar="APPKEY")
@click.option(
    "--overlap",
    type=click.IntRange(0, 30 * 86_400),
    default=86_400,
    show_default=True,
    help="Seconds for which the old secret stays good as well.",
)
def rotate(app_key: str, overlap: int) -> None:
    """Give the app APPKEY a new secret."""
    secret = _with_apps(lambda service: service.rotate_secret(app_key, overlap_seconds=overlap))
    click.echo(f"appSecret  {secret}")
    _say_once()


@click.group()
def keys() -> None:
    """Make keys for the admin API."""


@keys.command(name="create-admin")
@click.argument("name")
@click.option("--app", "app_key", metavar="APPKEY", help="Open this app alone [default: all apps].")
@click.option("--read-only", is_flag=True, help="Open only what changes nothing.")
def create_admin(name: str, app_key: str | None, *, read_only: bool) -> None:
    """Make an admin key called NAME and show it, once."""
    key, _ = _with_apps(
        lambda service: service.create_key(name, kind="admin", app_key=app_key, read_only=read_only)
    )
    click.echo(f"adminKey   {key}")
    _say_once()


@keys.command(name="list")
def list_keys() -> None:
    """List the admin keys for all apps: id, when it was last used, name."""
    for key in _with_apps(lambda service: service.list_keys(None)):
        used = "never used" if key.last_used_at is None else f"used {_time(key.last_used_at)}"
        click.echo(f"{key.id}  {used}  {'read-only  ' if key.read_only else ''}{key.name}")


@keys.command()
@click.argument("key_id", metavar="KEYID", type=click.UUID)
def revoke(key_id: UUID) -> None:
    """Revoke the admin key KEYID: from now on it opens nothing."""
    _with_apps(lambda service: service.revoke_key(None, key_id))


def _time(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


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
