"""Apps, their keys, secrets and settings, for admins."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from history.apps.model import AppSettings, Key
from history.axis import MILLISECOND
from history.channels.model import MADE_BY_CALL, ChannelKey, ChannelType, channel_key
from history.errors import Forbidden, InvalidInput, NotFound
from history.policies.model import Hold, Scope
from server import parse
from server.calls import Call, Reply
from server.wire import admin as wire

_DEFAULT_OVERLAP_SECONDS = 86_400
_SCOPES = {"api": ("api", False), "admin": ("admin", False), "admin-read": ("admin", True)}


async def create_app(call: Call[wire.NewApp]) -> Reply:
    """Make an app; its keys are shown in this answer and never again."""
    if call.who.admin_of is not None:
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
        if call.who.admin_of in (None, app.app_key)
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
    """Change the settings that are named; the others stay. A shorter retentionDays needs the confirm of its preview."""
    changes = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not None}
    key, app_id = call.body.tencent_key, call.body.tencent_sdk_app_id
    changes.pop("tencent_key", None)
    changes.pop("tencent_sdk_app_id", None)
    if app_id is not UNSET:
        changes["tencent_sdk_app_id"] = app_id
    confirm, days = changes.pop("confirm", None), changes.pop("retention_days", None)
    if days is not None:
        if changes or key is not UNSET:
            raise InvalidInput(
                "retentionDays", "retentionDays is changed by itself: it may need a confirmation."
            )
        scope = Scope(app_key=call.path["appKey"])
        await call.services.policies.set_policy(scope, days or None, confirm=confirm)
    return _view(await call.services.apps.change(call.path["appKey"], changes, tencent_key=key))


def _view(settings: AppSettings) -> Reply:
    return Reply(result=wire.SettingsView(**asdict(settings)))


def _scope(key: Key) -> str:
    return next(scope for scope, of in _SCOPES.items() if of == (key.kind, key.read_only))


async def place_hold(call: Call[wire.NewHold]) -> Reply:
    """From now on nothing is deleted or emptied in what it covers: a channel, a user's channels, or the app."""
    body, app_key = call.body, call.path["appKey"]
    if body.channel is not None and body.userId is not None:
        raise InvalidInput("userId", "userId and channel do not go together; place two holds.")
    channel = None if body.channel is None else _held_channel(app_key, body.channel)
    hold = await call.services.policies.place_hold(
        app_key, channel=channel, user_id=body.userId, reason=body.reason
    )
    return Reply(result=_hold(hold))


async def list_holds(call: Call[None]) -> Reply:
    """The holds of an app, oldest first."""
    await call.services.apps.settings(call.path["appKey"])
    holds = await call.services.policies.holds(call.path["appKey"])
    return Reply(result=wire.HoldList([_hold(hold) for hold in holds]))


async def release_hold(call: Call[None]) -> Reply:
    """Let reclaim go on with what the hold covered."""
    try:
        id_ = UUID(call.path["holdId"])
    except ValueError as exc:
        raise NotFound("The app has no hold of this id.") from exc
    await call.services.policies.release_hold(call.path["appKey"], id_)
    return Reply(result=wire.Nothing())


async def put_policy(call: Call[wire.PolicyPut]) -> Reply:
    """How old messages of a channel type, or of one channel, may be; in force on reads at once, on disk later."""
    scope = _scope_of(call)
    await call.services.policies.set_policy(scope, call.body.maxAgeDays, confirm=call.body.confirm)
    return await _policy(call, scope)


async def get_policy(call: Call[None]) -> Reply:
    """The age that was set here, and the one that counts."""
    await call.services.apps.settings(call.path["appKey"])
    return await _policy(call, _scope_of(call))


async def delete_policy(call: Call[None]) -> Reply:
    """Remove what was set here; what is set for more counts again. Where that is shorter, it needs ?confirm=."""
    scope = _scope_of(call)
    await call.services.policies.set_policy(scope, None, confirm=call.query.confirm)
    return await _policy(call, scope)


async def _policy(call: Call[Any], scope: Scope) -> Reply:
    effective, own = await call.services.policies.policy(scope)
    return Reply(result=wire.PolicyView(own, effective))


def _scope_of(call: Call[Any]) -> Scope:
    text = call.path["channelType"]
    type_ = parse.channel_type(int(text) if text in ("1", "3", "4", "6") else 0, "channelType")
    channel_id = call.path.get("channelId", "")
    if channel_id and type_ not in MADE_BY_CALL:
        raise InvalidInput(
            "channelId",
            "A policy for one channel is for a group or an open channel; direct ones have no single id.",
        )
    parse.check_text(channel_id, "channelId")
    return Scope(app_key=call.path["appKey"], type=type_, channel_id=channel_id)


def _held_channel(app_key: str, channel: wire.HoldChannel) -> ChannelKey:
    type_ = parse.channel_type(channel.channelType, "channel.channelType")
    if type_ is ChannelType.DIRECT:
        if channel.userIds is None:
            raise InvalidInput(
                "channel.userIds", "channel.userIds must name the two users of a direct channel."
            )
        first, second = channel.userIds
        return channel_key(app_key, type_, channel_id=first, user_id=second)
    if channel.channelId is None:
        raise InvalidInput("channel.channelId", "channel.channelId is missing; it is required.")
    if type_ is ChannelType.SYSTEM and channel.userId is None:
        raise InvalidInput("channel.userId", "channel.userId is missing; a system channel is of one user.")
    return channel_key(app_key, type_, channel_id=channel.channelId, user_id=channel.userId or "")


def _hold(hold: Hold) -> wire.HoldView:
    channel = hold.channel
    return wire.HoldView(
        id=str(hold.id),
        kind=hold.kind,
        channelType=None if channel is None else int(channel.type),
        channelKey=None if channel is None else list(channel.key),
        userId=hold.user_id,
        reason=hold.reason,
        createdAt=hold.created_at // MILLISECOND,
    )
