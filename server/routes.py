"""Every path that the server answers, on one screen."""

from __future__ import annotations

from server import wire
from server.calls import Caller, Route
from server.handlers import admin, cleans, delivery, health, messages

_CLEAN = "Clean history before a moment: for one user, in open channels for everyone"

ROUTES = (
    Route(
        method="POST",
        path="/v4/direct-channel/message/send",
        caller=Caller.APP,
        handler=messages.send_direct,
        body=wire.DirectSend,
        result=wire.DirectSent,
        summary="Send a direct message to up to 1,000 users",
    ),
    Route(
        method="POST",
        path="/v4/direct-channel/history-message/list",
        caller=Caller.APP,
        handler=messages.list_direct_history,
        body=wire.HistoryList,
        result=wire.HistoryPage,
        summary="List what a user may read of a direct channel, newest first",
    ),
    *(
        Route(
            method="POST",
            path=f"/v4/channel/message/history/{verb}",
            caller=Caller.APP,
            handler=cleans.clean_history,
            body=wire.Clean,
            summary=_CLEAN,
        )
        # the documentation says clean, the vendor's SDKs say delete
        for verb in ("clean", "delete")
    ),
    Route(
        method="POST",
        path="/v4/user/message/sync",
        caller=Caller.APP,
        handler=delivery.sync,
        body=wire.Sync,
        result=wire.SyncPage,
        summary="What a device lacks: cleans, missed messages, compensation",
    ),
    Route(
        method="POST",
        path="/v4/user/message/ack",
        caller=Caller.APP,
        handler=delivery.acknowledge,
        body=wire.Ack,
        summary="Acknowledge what a device has received",
    ),
    Route(
        method="POST",
        path="/admin/apps",
        caller=Caller.ADMIN,
        handler=admin.create_app,
        body=wire.NewApp,
        result=wire.AppKeys,
        summary="Make an app; its keys are shown once",
    ),
    Route(
        method="GET",
        path="/admin/apps",
        caller=Caller.ADMIN,
        handler=admin.list_apps,
        result=wire.AppList,
        summary="List the apps",
    ),
    Route(
        method="GET",
        path="/admin/apps/{appKey}/settings",
        caller=Caller.ADMIN,
        handler=admin.get_settings,
        result=wire.SettingsView,
        summary="The settings of an app",
    ),
    Route(
        method="PATCH",
        path="/admin/apps/{appKey}/settings",
        caller=Caller.ADMIN,
        handler=admin.change_settings,
        body=wire.SettingsPatch,
        result=wire.SettingsView,
        summary="Change settings of an app",
    ),
    Route(
        method="GET",
        path="/healthz",
        caller=Caller.ANYONE,
        handler=health.health,
        result=wire.Health,
        summary="Is the process alive",
    ),
    Route(
        method="GET",
        path="/readyz",
        caller=Caller.ANYONE,
        handler=health.readiness,
        result=wire.Readiness,
        summary="Which part is missing",
    ),
)
