"""Every path of Tidemark's own API, on one screen, and those of the surfaces after it."""

from __future__ import annotations

from history.channels.model import ChannelType
from server import surfaces
from server.calls import Caller, Handler
from server.handlers import (
    admin,
    channels,
    cleans,
    health,
    instances,
    media,
    messages,
    retention,
    transfer,
    users,
)
from server.native import PLAIN, SERVER_API
from server.surface import Route
from server.wire import admin as admin_wire
from server.wire import channels as channel_wire
from server.wire import cleans as clean_wire
from server.wire import common
from server.wire import media as media_wire
from server.wire import messages as message_wire
from server.wire import transfer as transfer_wire
from server.wire import users as user_wire


def _v4(
    path: str,
    handler: Handler,
    body: type,
    result: type | None,
    summary: str,
    caller: Caller = Caller.APP,
    other: type | None = None,
) -> Route:
    return Route(
        surface=SERVER_API,
        method="POST",
        path=f"/v4/{path}",
        caller=caller,
        handler=handler,
        body=body,
        result=result,
        other_result=other,
        summary=summary,
    )


def _admin(
    method: str,
    path: str,
    handler: Handler,
    body: type | None,
    result: type,
    summary: str,
    query: type | None = None,
) -> Route:
    return Route(
        surface=PLAIN,
        method=method,
        path=f"/admin/apps{path}",
        caller=Caller.ADMIN,
        handler=handler,
        body=body,
        query=query,
        result=result,
        summary=summary,
    )


def _open(path: str, handler: Handler, result: type, summary: str) -> Route:
    return Route(
        surface=PLAIN,
        method="GET",
        path=path,
        caller=Caller.ANYONE,
        handler=handler,
        result=result,
        summary=summary,
    )


_HISTORY = "List what a user may read, newest first"
_CLEAN = "Clean history before a moment: for one user, in open channels for everyone"
_M, _C, _U, _A, _K, _F = message_wire, channel_wire, user_wire, admin_wire, clean_wire, media_wire

# fmt: off
ROUTES = (
    _v4("direct-channel/message/send", messages.send_direct, _M.DirectSend, _M.UsersSent, "Send to users"),
    _v4("group-channel/message/send", messages.send_group, _M.GroupSend, _M.ChannelsSent, "Send to groups"),
    _v4("open-channel/message/send", messages.send_open, _M.OpenSend, _M.ChannelsSent, "Send to open channels"),
    _v4("system-channel/message/send", messages.send_system, _M.SystemSend, _M.UsersSent, "Send as an account"),
    *(
        _v4(f"{type_.name.lower()}-channel/history-message/list", messages.list_history(type_), _M.HistoryList,
            _M.HistoryPage, _HISTORY)
        for type_ in ChannelType
    ),
    _v4("direct-channel/message/update", messages.update_direct, _M.DirectUpdate, None, "Change one's own message"),
    _v4("group-channel/message/update", messages.update_group, _M.GroupUpdate, None, "Change one's own in a group"),
    _v4("message/delete", messages.recall, _M.Recall, None, "Take a message back from everyone"),
    Route(surface=SERVER_API, method="POST", path="/v4/message/import", caller=Caller.APP, takes=transfer.NDJSON,
          handler=transfer.import_messages, gives=transfer.NDJSON, summary="Import messages with their own times"),
    Route(surface=SERVER_API, method="GET", path="/v4/message/export", caller=Caller.APP, query=transfer_wire.ExportQuery,
          handler=transfer.export_messages, gives=transfer.NDJSON, summary="Export messages"),
    # the documentation says clean, the vendor's SDKs say delete
    _v4("channel/message/history/clean", cleans.clean_history, _K.Clean, None, _CLEAN),
    _v4("channel/message/history/delete", cleans.clean_history, _K.Clean, None, _CLEAN),
    _v4("channel/message/history/clean/batch", cleans.clean_batch, _K.Batch, _K.BatchDone, "Up to 1,000 cleans"),
    _v4("channel/message/history/clean/preview", cleans.preview_clean, _K.Clean, _K.PlanView, "What it would do"),
    _v4("channel/message/history/clean/status", cleans.clean_status, _K.Request, _K.ReceiptView, "What it did",
        other=_K.JobView),
    _v4("channel/message/history/clean/list", cleans.list_cleans, _K.ReceiptList, _K.ReceiptPage, "What cleans did"),
    _v4("channel/message/history/clean/cancel", cleans.cancel_clean, _K.Cancel, None, "Undo a clean"),
    _v4("channel/message/history/clean/user", cleans.clean_user, _K.CleanUser, _K.JobStarted, "Clean all of a user"),
    _v4("channel/message/recall-by-sender", cleans.recall_by_sender, _K.RecallBySender, _K.JobStarted,
        "Recall all of some senders"),
    _v4("channel/message/history/hide", cleans.hide_messages, _K.Hide, _K.Hidden, "Delete by id for one user"),
    _v4("message/explain", cleans.explain_message, _K.Explain, _K.Explanation, "Why a message is where it is"),

    _v4("group-channel/create", channels.create_group, _C.GroupCreate, None, "Make a group"),
    _v4("group-channel/join", channels.join_group, _C.GroupUsers, _C.GroupView, "Let users into a group"),
    _v4("group-channel/leave", channels.leave_group, _C.GroupUsers, None, "Let users leave a group"),
    _v4("group-channel/dismiss", channels.dismiss_group, _C.GroupName, None, "End a group"),
    _v4("group-channel/member/list", channels.list_members, _C.MemberList, _C.MemberPage, "Members of a group"),
    _v4("group-channel/joined/list", channels.list_joined, _C.JoinedList, _C.JoinedPage, "Groups of a user"),
    _v4("open-channel/create", channels.create_open, _C.OpenCreate, None, "Make an open channel"),
    _v4("open-channel/destroy", channels.destroy_open, _C.OpenDestroy, None, "End open channels"),

    _v4("user/message/sync", users.sync, _U.Sync, _U.SyncPage, "What a device lacks", Caller.USER),
    _v4("user/message/ack", users.acknowledge, _U.Ack, None, "What a device has received", Caller.USER),
    _v4("user/conversation/list", users.list_conversations, _U.ConversationList, _U.ConversationPage,
        "A user's conversations, newest first", Caller.USER),
    _v4("user/conversation/read", users.read_conversation, _U.ConversationRead, None, "Mark as read", Caller.USER),
    _v4("user/conversation/update", users.update_conversation, _U.ConversationUpdate, None, "Pin, mute, archive",
        Caller.USER),
    _v4("user/conversation/delete", users.delete_conversation, _U.ConversationDelete, None,
        "Take a conversation from a user's list", Caller.USER),
    _v4("user/device/list", users.list_devices, _U.DeviceList, _U.Devices, "A user's devices", Caller.USER),
    _v4("user/device/remove", users.remove_device, _U.DeviceRemove, None, "Forget a device", Caller.USER),
    _v4("auth/access-token/issue", users.issue_token, _U.TokenIssue, _U.TokenIssued, "An access token of a user"),
    _v4("auth/access-token/expire", users.expire_tokens, _U.TokenExpire, None, "Let users' tokens end"),

    _admin("POST", "", admin.create_app, _A.NewApp, _A.AppKeys, "Make an app; its keys are shown once"),
    _admin("GET", "", admin.list_apps, None, _A.AppList, "List the apps"),
    _admin("GET", "/{appKey}/settings", admin.get_settings, None, _A.SettingsView, "The settings of an app"),
    _admin("PATCH", "/{appKey}/settings", admin.change_settings, _A.SettingsPatch, _A.SettingsView,
           "Change settings of an app"),
    _admin("POST", "/{appKey}/secret", admin.rotate_secret, _A.Rotate, _A.Rotated, "Rotate the app secret"),
    _admin("POST", "/{appKey}/keys", admin.create_key, _A.NewKey, _A.KeyMade, "Make a key; it is shown once"),
    _admin("GET", "/{appKey}/keys", admin.list_keys, None, _A.KeyList, "The keys of an app"),
    _admin("DELETE", "/{appKey}/keys/{keyId}", admin.revoke_key, None, _A.Nothing, "Revoke a key"),
    _admin("POST", "/{appKey}/instances", instances.create_instance, _A.NewInstance, _A.InstanceMade,
           "Give a user a token of his own (RyzeAPI); it is shown once"),
    _admin("PATCH", "/{appKey}/instances/{instance}", instances.connect_instance, _A.InstancePatch, _A.InstanceView,
           "Take calls for an instance, or none"),
    _admin("POST", "/{appKey}/holds", admin.place_hold, _A.NewHold, _A.HoldView, "Place a legal hold"),
    _admin("GET", "/{appKey}/holds", admin.list_holds, None, _A.HoldList, "The holds of an app"),
    _admin("DELETE", "/{appKey}/holds/{holdId}", admin.release_hold, None, _A.Nothing, "Release a hold"),
    *(
        route
        for path in ("/{appKey}/policies/{channelType}", "/{appKey}/policies/{channelType}/{channelId}")
        for route in (
            _admin("PUT", path, admin.put_policy, _A.PolicyPut, _A.PolicyView, "Set a maximum age"),
            _admin("GET", path, admin.get_policy, None, _A.PolicyView, "The maximum age that counts"),
            _admin("DELETE", path, admin.delete_policy, None, _A.PolicyView, "Remove a maximum age", _A.Confirmation),
        )
    ),
    _admin("GET", "/{appKey}/retention/runs", retention.list_runs, None, _A.RunPage, "Does retention keep up", _A.RunsQuery),

    _admin("GET", "/{appKey}/media", media.list_media, None, _F.MediaPage, "The files of an app", _F.MediaList),
    _admin("DELETE", "/{appKey}/media/{mediaId}", media.remove_media, None, _A.Nothing, "Remove a file"),
    Route(surface=PLAIN, method="POST", path="/v1/media", caller=Caller.KEY_OR_BEARER, handler=media.upload,
          result=_F.Uploaded, takes="application/octet-stream", summary="Upload a file"),
    Route(surface=PLAIN, method="GET", path="/v1/media/{mediaId}", caller=Caller.KEY_OR_BEARER, handler=media.download,
          gives="application/octet-stream", summary="A file"),

    _open("/healthz", health.health, common.Health, "Is the process alive"),
    _open("/readyz", health.readiness, common.Readiness, "Which part is missing"),
)
# fmt: on

ALL_ROUTES = (*ROUTES, *surfaces.ROUTES)
