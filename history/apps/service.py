"""Apps: made, found, changed. Secrets leave here once, when they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from uuid import UUID, uuid4

from msgspec import UNSET, UnsetType

from history.apps import store
from history.apps.model import (
    MOVES_FLOORS,
    App,
    AppListing,
    AppSettings,
    Instance,
    Key,
    NewApp,
    SealedApp,
    Token,
    check_media_types,
    check_time_zone,
    is_app_key,
    key_hash,
    new_app_key,
    new_key,
    new_secret,
    seal,
    tencent_owner,
    unseal,
)
from history.axis import DAY, SECOND
from history.clock import Clock
from history.config import Settings
from history.cursors import MOST_ID_CHARACTERS
from history.database import Database, open_database
from history.errors import BadKey, InvalidInput, NotFound, UnknownApp

_MOST_CACHED = 10_000
_UNKNOWN = "There is no app with this App-Key."
USED_EVERY = 60 * SECOND
"""A key's last use is written once in a while, not at every call."""


class Apps:
    """The use-cases of apps and their keys."""

    def __init__(self, database: Database, clock: Clock, *, master_key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._master_key = master_key
        self._cached: dict[str, tuple[int, App]] = {}

    async def create(self, name: str) -> NewApp:
        """Make an app with default settings; its keys are in the answer and nowhere else."""
        _check_name(name)
        now = self._clock.now()
        new = NewApp(app_key=new_app_key(), app_secret=new_secret(), api_key=new_key("api"))
        sealed = seal(self._master_key, new.app_key, new.app_secret)
        key = _key("api", app_key=new.app_key, name="first", read_only=False, now=now)
        async with self._database.writing() as connection:
            await store.insert_app(connection, app_key=new.app_key, name=name, secret=sealed, now=now)
            await store.insert_key(connection, key, hashed=key_hash(new.api_key))
        return new

    async def create_key(
        self, name: str, *, kind: str, app_key: str | None, read_only: bool = False
    ) -> tuple[str, Key]:
        """Make a key; its text is in the answer and nowhere else. `app_key` None: an admin key for all apps."""
        _check_name(name)
        if app_key is not None:
            await self.settings(app_key)
        text = new_key(kind)
        key = _key(kind, app_key=app_key, name=name, read_only=read_only, now=self._clock.now())
        async with self._database.writing() as connection:
            await store.insert_key(connection, key, hashed=key_hash(text))
        return text, key

    async def list_keys(self, app_key: str | None) -> Sequence[Key]:
        """The keys that open this app alone; None: the admin keys for all apps."""
        if app_key is not None:
            await self.settings(app_key)
        async with self._database.reading() as connection:
            return await store.list_keys(connection, app_key)

    async def revoke_key(self, app_key: str | None, id_: UUID) -> None:
        """From now on the key opens nothing."""
        if app_key is not None:
            self.check(app_key)
        async with self._database.writing() as connection:
            if not await store.delete_key(connection, app_key, id_):
                raise NotFound("There is no key of this id.")

    async def find_key(self, text: str, *, kind: str) -> Key:
        """The key; BadKey where it is none of ours of this kind. Found by its hash, so timing says nothing about it."""
        hashed, now = key_hash(text), self._clock.now()
        async with self._database.reading() as connection:
            found = await store.get_key(connection, hashed)
        if found is None or found.kind != kind:
            raise BadKey("The key in the Authorization header is not one of ours, or was revoked.")
        if found.last_used_at is None or found.last_used_at < now - USED_EVERY:
            async with self._database.writing() as connection:
                await store.update_key_used(connection, hashed, now=now)
        return found

    async def issue_token(self, app: App, user_id: str) -> str:
        """An access token of a user, good for the app's tokenDays; shown once."""
        text, now = new_key("user"), self._clock.now()
        token = Token(app_key=app.app_key, user_id=user_id)
        expires_at = now + app.settings.token_days * DAY
        async with self._database.writing() as connection:
            await store.insert_token(connection, token, hashed=key_hash(text), now=now, expires_at=expires_at)
        return text

    async def expire_tokens(self, app_key: str, user_ids: Sequence[str], *, at: int) -> None:
        """Let all tokens that these users have now end at an instant; one that ends before stays as it is."""
        async with self._database.writing() as connection:
            await store.expire_tokens(connection, app_key, user_ids, at=at)

    async def find_token(self, text: str) -> Token:
        """Whose token it is; BadKey where it has expired or is none of ours."""
        async with self._database.reading() as connection:
            found = await store.get_token(connection, key_hash(text), now=self._clock.now())
        if found is None:
            raise BadKey("The access token has expired or is not one of ours; issue another one.")
        return found

    async def create_instance(self, app_key: str, user_id: str) -> tuple[str, Instance]:
        """Give a user a token of his own; shown once. One that he had opens nothing from now on."""
        await self.settings(app_key)
        text = new_key("instance")
        async with self._database.writing() as connection:
            made = await store.insert_instance(
                connection,
                app_key,
                user_id,
                hashed=key_hash(text),
                connected=None,
                now=self._clock.now(),
            )
        return text, made

    async def connect_instance(self, app_key: str, user_id: str, *, connected: bool) -> Instance:
        """Switch an instance on or off; NotFound where there is none."""
        await self.settings(app_key)
        await self.find_instance(app_key, user_id)
        async with self._database.writing() as connection:
            return await store.insert_instance(
                connection, app_key, user_id, hashed=None, connected=connected, now=self._clock.now()
            )

    async def find_instance(self, app_key: str, user_id: str) -> Instance:
        """A user who was made one, or has a conversation; NotFound where he is neither."""
        if len(user_id) <= MOST_ID_CHARACTERS and "\x00" not in user_id:
            async with self._database.reading() as connection:
                found = await store.get_instance(connection, app_key, user_id)
                if found is not None:
                    return found
                if await store.get_user_with_conversation(connection, app_key, user_id):
                    return Instance(app_key=app_key, user_id=user_id, connected=True, created_at=0)
        raise NotFound("There is no instance of this name, and no user who has a conversation.")

    async def find_instance_of_token(self, text: str) -> Instance:
        """The instance that this token opens; BadKey where it is none of ours."""
        async with self._database.reading() as connection:
            found = await store.get_instance_of_token(connection, key_hash(text))
        if found is None:
            raise BadKey("The token is not one of ours, or another one was made since.")
        return found

    async def list(self) -> Sequence[AppListing]:
        """All apps, oldest first."""
        async with self._database.reading() as connection:
            return await store.list_apps(connection)

    async def find(self, app_key: str) -> App:
        """An app as it was at most a second ago; UnknownApp where there is none."""
        self.check(app_key, otherwise=UnknownApp)
        now = self._clock.now()
        cached = self._cached.get(app_key)
        if cached is not None and 0 <= now - cached[0] < SECOND:
            return cached[1]
        async with self._database.reading() as connection:
            found = await store.get_app(connection, app_key)
        if found is None:
            self._cached.pop(app_key, None)
            raise UnknownApp(_UNKNOWN)
        app = App(
            app_key=app_key,
            name=found.name,
            secret=unseal(self._master_key, app_key, found.secret),
            previous_secret=self._previous(found, now=now),
            previous_secret_until=found.previous_secret_until,
            tencent_key=self._tencent_key(found),
            created_at=found.created_at,
            settings=found.settings,
        )
        if len(self._cached) >= _MOST_CACHED:
            self._cached.clear()
        self._cached[app_key] = (now, app)
        return app

    async def find_tencent(self, sdk_app_id: int) -> App:
        """The app whose Tencent surface has this number, as it was at most a second ago; UnknownApp where there is none."""
        async with self._database.reading() as connection:
            app_key = await store.get_tencent_app(connection, sdk_app_id)
        if app_key is None:
            raise UnknownApp("There is no app with this SDKAppID.")
        return await self.find(app_key)

    def check(self, app_key: str, *, otherwise: type[UnknownApp | NotFound] = NotFound) -> None:
        """Refuse what can be the key of no app: Postgres cannot even be asked for some of these."""
        if not is_app_key(app_key):
            raise otherwise(_UNKNOWN)

    async def settings(self, app_key: str) -> AppSettings:
        """The settings as they are now; NotFound where there is no such app."""
        self.check(app_key)
        async with self._database.reading() as connection:
            found = await store.get_app(connection, app_key)
        if found is None:
            raise NotFound(_UNKNOWN)
        return found.settings

    async def change(
        self, app_key: str, changes: Mapping[str, object], *, tencent_key: str | UnsetType | None = UNSET
    ) -> AppSettings:
        """Change some settings. Grants of the app's channels come before or after, never in the middle.

        `tencent_key` is sealed; None forgets it. Conflict where another app has the tencent_sdk_app_id.
        """
        self.check(app_key)
        async with self._database.writing() as connection:
            if "compensation_time_zone" in changes:
                known = await store.list_time_zones(connection)
                check_time_zone(str(changes["compensation_time_zone"]), known)
            if "media_types" in changes:
                check_media_types(str(changes["media_types"]))
            before = await store.lock_app(connection, app_key)
            if before is None:
                raise NotFound(_UNKNOWN)
            after = AppSettings(**{**asdict(before), **changes})
            sealed = None
            if tencent_key is not UNSET:
                after = replace(after, tencent_key=tencent_key is not None)
            if isinstance(tencent_key, str):
                sealed = seal(self._master_key, tencent_owner(app_key), tencent_key)
            moved = any(getattr(before, name) != getattr(after, name) for name in MOVES_FLOORS)
            await store.update_settings(connection, app_key, after, tencent_key=sealed, moves_floors=moved)
        self._cached.pop(app_key, None)
        return after

    async def rotate_secret(self, app_key: str, *, overlap_seconds: int = 0) -> str:
        """Give the app another secret, which counts within a second; the one before stays good for the overlap."""
        self.check(app_key)
        secret, until = new_secret(), self._clock.now() + overlap_seconds * SECOND
        sealed = seal(self._master_key, app_key, secret)
        async with self._database.writing() as connection:
            if not await store.update_secret(connection, app_key, sealed, previous_until=until):
                raise NotFound(_UNKNOWN)
        self._cached.pop(app_key, None)
        return secret

    def _tencent_key(self, app: SealedApp) -> str | None:
        if app.tencent_key is None:
            return None
        return unseal(self._master_key, tencent_owner(app.app_key), app.tencent_key)

    def _previous(self, app: SealedApp, *, now: int) -> str | None:
        if app.previous_secret is None or app.previous_secret_until <= now:
            return None
        return unseal(self._master_key, app.app_key, app.previous_secret)


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= 64 or "\x00" in name:
        raise InvalidInput("name", "name must have 1 to 64 characters, none of them NUL.")


def _key(kind: str, *, app_key: str | None, name: str, read_only: bool, now: int) -> Key:
    return Key(
        id=uuid4(),
        kind=kind,
        app_key=app_key,
        name=name,
        read_only=read_only,
        created_at=now,
        last_used_at=None,
    )


@asynccontextmanager
async def open_apps(settings: Settings) -> AsyncIterator[Apps]:
    """Apps for a command that does one thing and ends."""
    async with (
        open_database(settings.database_url, readers=1, writers=1) as database,
        database.clock() as clock,
    ):
        yield Apps(database, clock, master_key=settings.master_key)
