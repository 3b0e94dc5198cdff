"""Apps: made, found, changed. Secrets leave here once, when they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from history.apps import store
from history.apps.model import (
    MOVES_FLOORS,
    App,
    AppListing,
    AppSettings,
    NewApp,
    check_time_zone,
    is_app_key,
    key_hash,
    new_app_key,
    new_key,
    new_secret,
    seal,
    unseal,
)
from history.axis import SECOND
from history.clock import Clock
from history.config import Settings
from history.database import Database, open_database
from history.errors import BadKey, InvalidInput, NotFound, UnknownApp

_MOST_CACHED = 10_000


class Apps:
    """The use-cases of apps and their keys."""

    def __init__(self, database: Database, clock: Clock, *, master_key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._master_key = master_key
        self._cached: dict[str, tuple[int, App]] = {}

    async def create(self, name: str) -> NewApp:
        """Make an app with default settings; its keys are in the answer and nowhere else."""
        if not 1 <= len(name) <= 64 or "\x00" in name:
            raise InvalidInput("name", "name must have 1 to 64 characters, none of them NUL.")
        now = self._clock.now()
        new = NewApp(app_key=new_app_key(), app_secret=new_secret(), api_key=new_key("api"))
        sealed = seal(self._master_key, new.app_key, new.app_secret)
        async with self._database.writing() as connection:
            await store.insert_app(connection, app_key=new.app_key, name=name, secret=sealed, now=now)
            await store.insert_key(
                connection,
                hashed=key_hash(new.api_key),
                kind="api",
                app_key=new.app_key,
                name="first",
                now=now,
            )
        return new

    async def create_admin_key(self, name: str) -> str:
        """Make a key that opens the admin API for all apps; shown once."""
        key = new_key("admin")
        async with self._database.writing() as connection:
            await store.insert_key(
                connection, hashed=key_hash(key), kind="admin", app_key=None, name=name, now=self._clock.now()
            )
        return key

    async def check_admin_key(self, key: str) -> None:
        """BadKey unless it is an admin key. The look-up is by hash, so timing says nothing about the key."""
        async with self._database.reading() as connection:
            found = await store.get_key(connection, key_hash(key))
        if found is None or found[0] != "admin":
            raise BadKey("This call needs an admin key: send Authorization: Bearer <adminKey>.")

    async def list(self) -> Sequence[AppListing]:
        """All apps, oldest first."""
        async with self._database.reading() as connection:
            return await store.list_apps(connection)

    async def find(self, app_key: str) -> App:
        """An app as it was at most a second ago; UnknownApp where there is none."""
        if not is_app_key(app_key):
            raise UnknownApp("There is no app with this App-Key.")
        now = self._clock.now()
        cached = self._cached.get(app_key)
        if cached is not None and 0 <= now - cached[0] < SECOND:
            return cached[1]
        async with self._database.reading() as connection:
            found = await store.get_app(connection, app_key)
        if found is None:
            self._cached.pop(app_key, None)
            raise UnknownApp("There is no app with this App-Key.")
        listing, sealed, settings = found
        app = App(
            app_key=app_key,
            name=listing.name,
            secret=unseal(self._master_key, app_key, sealed),
            created_at=listing.created_at,
            settings=settings,
        )
        if len(self._cached) >= _MOST_CACHED:
            self._cached.clear()
        self._cached[app_key] = (now, app)
        return app

    async def settings(self, app_key: str) -> AppSettings:
        """The settings as they are now; NotFound where there is no such app."""
        if not is_app_key(app_key):
            raise NotFound("There is no app with this App-Key.")
        async with self._database.reading() as connection:
            found = await store.get_app(connection, app_key)
        if found is None:
            raise NotFound("There is no app with this App-Key.")
        return found[2]

    async def change(self, app_key: str, changes: Mapping[str, object]) -> AppSettings:
        """Change some settings. Grants of the app's channels come before or after, never in the middle."""
        if not is_app_key(app_key):
            raise NotFound("There is no app with this App-Key.")
        async with self._database.writing() as connection:
            if "compensation_time_zone" in changes:
                known = await store.list_time_zones(connection)
                check_time_zone(str(changes["compensation_time_zone"]), known)
            before = await store.lock_app(connection, app_key)
            if before is None:
                raise NotFound("There is no app with this App-Key.")
            after = AppSettings(**{**asdict(before), **changes})
            moved = any(getattr(before, name) != getattr(after, name) for name in MOVES_FLOORS)
            await store.update_settings(connection, app_key, after, moves_floors=moved)
        self._cached.pop(app_key, None)
        return after

    async def rotate_secret(self, app_key: str) -> str:
        """Give the app another secret, which counts within a second; shown once."""
        secret = new_secret()
        async with self._database.writing() as connection:
            if not await store.update_secret(connection, app_key, seal(self._master_key, app_key, secret)):
                raise NotFound("There is no app with this App-Key.")
        self._cached.pop(app_key, None)
        return secret


@asynccontextmanager
async def open_apps(settings: Settings) -> AsyncIterator[Apps]:
    """Apps for a command that does one thing and ends."""
    async with (
        open_database(settings.database_url, readers=1, writers=1) as database,
        database.clock() as clock,
    ):
        yield Apps(database, clock, master_key=settings.master_key)
