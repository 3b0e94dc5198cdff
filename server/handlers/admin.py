"""Apps and their settings, for admins."""

from __future__ import annotations

from dataclasses import asdict

import msgspec

from history.apps.model import AppSettings
from history.axis import MILLISECOND
from server import wire
from server.calls import Call, Reply


async def create_app(call: Call[wire.NewApp]) -> Reply:
    """Make an app; its keys are shown in this answer and never again."""
    new = await call.services.apps.create(call.body.name)
    return Reply(
        result=wire.AppKeys(
            name=call.body.name, appKey=new.app_key, appSecret=new.app_secret, apiKey=new.api_key
        )
    )


async def list_apps(call: Call[None]) -> Reply:
    """All apps, oldest first, without their secrets."""
    rows = [
        wire.AppRow(appKey=app.app_key, name=app.name, createdAt=app.created_at // MILLISECOND)
        for app in await call.services.apps.list()
    ]
    return Reply(result=wire.AppList(rows))


async def get_settings(call: Call[None]) -> Reply:
    """The settings of an app as they are now."""
    return _view(await call.services.apps.settings(call.path["appKey"]))


async def change_settings(call: Call[wire.SettingsPatch]) -> Reply:
    """Change the settings that are named; the others stay."""
    changes = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not None}
    return _view(await call.services.apps.change(call.path["appKey"], changes))


def _view(settings: AppSettings) -> Reply:
    return Reply(result=wire.SettingsView(**asdict(settings)))
