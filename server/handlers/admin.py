"""Apps, their keys, secrets and settings, for admins."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

import msgspec

from history.apps.model import AppSettings, Key
from history.axis import MILLISECOND
from history.errors import Forbidden, NotFound
from server.calls import Call, Reply
from server.wire import admin as wire

_DEFAULT_OVERLAP_SECONDS = 86_400
_SCOPES = {"api": ("api", False), "admin": ("admin", False), "admin-read": ("admin", True)}


async def create_app(call: Call[wire.NewApp]) -> Reply:
    """Make an app; its keys are shown in this answer and never again."""
    if call.admin_of is not None:
        raise Forbidden("This admin key is for one app; making apps needs one for all apps.")
    new = await call.services.apps.create(call.body.name)
    return Reply(
        result=wire.AppKeys(
            name=call.body.name, appKey=new.app_key, appSecret=new.app_secret, apiKey=new.api_key
        )
    )


async def list_apps(call: Call[None]) -> Reply:
    """The apps that the key opens, oldest first, without their secrets."""
    rows = [
        wire.AppRow(appKey=app.app_key, name=app.name, createdAt=app.created_at // MILLISECOND)
        for app in await call.services.apps.list()
        if call.admin_of in (None, app.app_key)
    ]
    return Reply(result=wire.AppList(rows))


async def create_key(call: Call[wire.NewKey]) -> Reply:
    """Make a key for one app; it is shown in this answer and never again."""
    kind, read_only = _SCOPES[call.body.scope]
    text, key = await call.services.apps.create_key(
        call.body.name, kind=kind, app_key=call.path["appKey"], read_only=read_only
    )
    return Reply(result=wire.KeyMade(id=str(key.id), name=key.name, scope=_scope(key), key=text))


async def list_keys(call: Call[None]) -> Reply:
    """The keys of one app with their last use, oldest first."""
    rows = [
        wire.KeyRow(
            id=str(key.id),
            name=key.name,
            scope=_scope(key),
            createdAt=key.created_at // MILLISECOND,
            lastUsedAt=None if key.last_used_at is None else key.last_used_at // MILLISECOND,
        )
        for key in await call.services.apps.list_keys(call.path["appKey"])
    ]
    return Reply(result=wire.KeyList(rows))


async def revoke_key(call: Call[None]) -> Reply:
    """From now on the key opens nothing."""
    try:
        id_ = UUID(call.path["keyId"])
    except ValueError as exc:
        raise NotFound("The app has no key of this id.") from exc
    await call.services.apps.revoke_key(call.path["appKey"], id_)
    return Reply(result=wire.Nothing())


async def rotate_secret(call: Call[wire.Rotate]) -> Reply:
    """Another app secret, shown once; the one before stays good for overlapSeconds (default: a day)."""
    overlap = call.body.overlapSeconds
    secret = await call.services.apps.rotate_secret(
        call.path["appKey"], overlap_seconds=_DEFAULT_OVERLAP_SECONDS if overlap is None else overlap
    )
    return Reply(result=wire.Rotated(secret))


async def get_settings(call: Call[None]) -> Reply:
    """The settings of an app as they are now."""
    return _view(await call.services.apps.settings(call.path["appKey"]))


async def change_settings(call: Call[wire.SettingsPatch]) -> Reply:
    """Change the settings that are named; the others stay."""
    changes = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not None}
    return _view(await call.services.apps.change(call.path["appKey"], changes))


def _view(settings: AppSettings) -> Reply:
    return Reply(result=wire.SettingsView(**asdict(settings)))


def _scope(key: Key) -> str:
    return next(scope for scope, of in _SCOPES.items() if of == (key.kind, key.read_only))
