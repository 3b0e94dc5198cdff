"""A body for every route in which every field is there and right, and the things that it speaks of.

The matrix of credentials and the table of wrong values walk these; a new route is not done before it stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.api.client import ACK, CLEAN, DELETE, HISTORY, SEND, SYNC, Api, Keys

ADMIN = "/admin/apps"
OF_APP = "/admin/apps/{appKey}"
RECALL_BY_SENDER = "/v4/channel/message/recall-by-sender"
HIDE = "/v4/channel/message/history/hide"
EXPLAIN = "/v4/message/explain"
IMPORT, EXPORT = "/v4/message/import", "/v4/message/export"
UPLOAD, FILE = "/v1/media", "/v1/media/{mediaId}"
POLICIES = (f"{OF_APP}/policies/{{channelType}}", f"{OF_APP}/policies/{{channelType}}/{{channelId}}")
SENDS = {kind: f"/v4/{kind}-channel/message/send" for kind in ("direct", "group", "open", "system")}
HISTORIES = {kind: f"/v4/{kind}-channel/history-message/list" for kind in SENDS}
UPDATES = {kind: f"/v4/{kind}-channel/message/update" for kind in ("direct", "group")}
assert (SENDS["direct"], HISTORIES["direct"]) == (SEND, HISTORY)
TEXT = {"fromUserId": "ann", "messageType": "RC:TxtMsg", "content": "secret of ours"}
EDIT = {"fromUserId": "ann", "content": "other secret of ours"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is in an app: a message of ann in each kind of channel, groups g and d, open channels o and x."""

    direct: str
    group: str
    open: str
    system: str
    key_id: str
    hold_id: str
    request_id: str
    plan_hash: str
    media_id: str


NOBODY = Scene(
    direct="", group="", open="", system="", key_id="", hold_id="", request_id="", plan_hash="", media_id=""
)
"""For those who look at the fields alone."""
PHONES = ("910000000001", "919999999999")
"""A business and its customer, who have a chat: what an API for phone numbers speaks of."""
DAYS = 60
"""The app's retentionDays, and those of each policy: none of them ever takes a message from view."""


async def make_scene(api: Api, keys: Keys | None = None) -> Scene:
    """Make it; all that is in it says so in its text."""
    api = api.of(keys)
    for id_ in ("g", "d"):
        await api.do("group-channel/create", channelId=id_, name="our group", owner="ann", userIds=["bob"])
    for id_ in ("o", "x"):
        await api.do("open-channel/create", channelId=id_)
    to = {"direct": ["bob"], "group": ["g"], "open": ["o"], "system": ["bob"]}
    sent = {}
    for kind, names in to.items():
        field = "toUserIds" if kind in ("direct", "system") else "toChannelIds"
        answer = await api.do(f"{kind}-channel/message/send", **TEXT, **{field: names})
        sent[kind] = answer["messageIds"][0]["messageId"]
    await api.send(*PHONES, content=TEXT["content"])
    await api.do("user/message/sync", userId="bob", deviceId="phone")
    path = f"/admin/apps/{api.keys.app_key}/keys"
    made = await api.admin("POST", path, {"name": "our key", "scope": "api"})
    base = f"/admin/apps/{api.keys.app_key}"
    held = await api.admin("POST", f"{base}/holds", {"reason": "our case", "userId": "zoe"})
    refused = await api.admin("PATCH", f"{base}/settings", {"retentionDays": DAYS})
    await api.set(retentionDays=DAYS, confirm=refused.json["confirm"])
    nothing = {"channelType": 1, "fromUserId": "zoe", "channelId": "nobody", "undoSeconds": 30 * 86_400}
    cleaned = await api.post(CLEAN, nothing)
    token = (await api.do("auth/access-token/issue", userId="bob", name="bob"))["accessToken"]
    uploaded = await api.upload(token, b"secret of ours")
    plan = await api.do("channel/message/history/clean/preview", **cleaning(api.now_ms))
    return Scene(
        key_id=made.json["id"],
        hold_id=held.json["id"],
        request_id=cleaned.headers["Clean-Request-Id"],
        plan_hash=plan["planHash"],
        media_id=uploaded.json["id"],
        **sent,
    )


def cleaning(now: int, **more: object) -> dict[str, Any]:
    """A clean of bob in his channel with ann: of what was sent before this millisecond, which is nothing."""
    return {
        "channelType": 1,
        "fromUserId": "bob",
        "channelId": "ann",
        "sentAt": str(now),
        "scope": "user",
        "deleteCompensated": False,
        "deleteMedia": False,
        "undoSeconds": 3600,
        "reason": "asked",
        **more,
    }


def send(**more: object) -> dict[str, Any]:
    """What every send has."""
    return {
        **TEXT,
        "shouldPersist": 1,
        "clientMessageId": "c-1",
        "pushContent": "",
        "pushData": "",
        "contentAvailable": 0,
        "hasMetadata": True,
        "metadata": {"topic": "food", "table": 4},
        "disablePush": False,
        "pushExt": "",
        "disableUpdateLastMsg": False,
        **more,
    }


def page(channel_id: str, now: int) -> dict[str, Any]:
    """A page of bob's history."""
    day = 86_400_000
    times = {"startAt": now, "endAt": now - day, "includeStart": True, "pageSize": 10}
    return {"userId": "bob", "channelId": channel_id, **times}


def members(*users: str) -> dict[str, Any]:
    """Users who join or leave."""
    flags = ("shouldDeleteMute", "shouldDeleteAllowedSendersList", "shouldDeleteFavorites")
    return {"channelId": "g", "userIds": [*users], **dict.fromkeys(flags, 0)}


def bodies(scene: Scene, now: int) -> dict[tuple[str, str], dict[str, Any] | None]:
    """(method, path) of every route: its body, None where it takes none. None undoes what another needs."""
    clean = cleaning(now, planHash=scene.plan_hash)
    list_ = {"pageToken": "", "pageSize": 50, "order": 0}
    posts: dict[str, dict[str, Any]] = {
        SENDS["direct"]: send(
            toUserIds=["bob"], isEchoToSender=1, count=1, verifyBlocklist=0, needReadReceipt=0
        ),
        SENDS["group"]: send(
            toChannelIds=["g"], toUserIds=["bob"], isEchoToSender=1, hasMention=0, needReadReceipt=0
        ),
        SENDS["open"]: send(toChannelIds=["o"], isEchoToSender=1, priority=0),
        SENDS["system"]: send(toUserIds=["bob"]),
        HISTORIES["direct"]: page("ann", now),
        HISTORIES["group"]: page("g", now),
        HISTORIES["open"]: page("o", now),
        HISTORIES["system"]: page("ann", now),
        UPDATES["direct"]: {**EDIT, "targetId": "bob", "messageId": scene.direct},
        UPDATES["group"]: {**EDIT, "channelId": "g", "messageId": scene.group},
        "/v4/message/delete": {
            "fromUserId": "ann",
            "channelType": 3,
            "channelId": "g",
            "messageId": scene.group,
            "sentAt": now,
            "isAdmin": 0,
            "disablePush": False,
            "extra": "",
            "disableUpdateLastMsg": False,
        },
        CLEAN: clean,
        DELETE: clean,
        f"{CLEAN}/batch": {"items": [clean]},
        f"{CLEAN}/preview": clean,
        f"{CLEAN}/status": {"requestId": scene.request_id},
        f"{CLEAN}/list": {
            "userId": "bob",
            "channelType": 1,
            "channelId": "ann",
            "state": "accepted",
            "startAt": 0,
            "endAt": now,
            "pageSize": 10,
            "cursor": "",
        },
        f"{CLEAN}/cancel": {"requestId": scene.request_id, "reason": "a mistake", "operator": "cid"},
        f"{CLEAN}/user": {
            "userId": "bob",
            "sentAt": str(now),
            "deleteCompensated": False,
            "deleteMedia": False,
            "undoSeconds": 3600,
            "reason": "asked",
        },
        RECALL_BY_SENDER: {
            "channelType": 3,
            "channelId": "g",
            "fromUserIds": ["ann"],
            "before": str(now),
            "reason": "spam",
        },
        HIDE: {"userId": "bob", "channelType": 3, "channelId": "g", "messageIds": [scene.group]},
        EXPLAIN: {
            "channelType": 3,
            "channelId": "g",
            "messageId": scene.group,
            "userId": "bob",
            "deviceId": "phone",
        },
        "/v4/group-channel/create": {
            "channelId": "new",
            "name": "New",
            "owner": "ann",
            "userIds": ["bob"],
            "groupProfile": {"introduction": "x"},
            "permissions": {},
            "groupExtProfile": {"ext_a": "b"},
        },
        "/v4/group-channel/join": members("cid"),
        "/v4/group-channel/leave": members("cid"),
        "/v4/group-channel/dismiss": {"channelId": "d"},
        "/v4/group-channel/member/list": {"channelId": "g", "memberRole": 0, **list_},
        "/v4/group-channel/joined/list": {"userId": "bob", "role": 0, **list_},
        "/v4/open-channel/create": {
            "channelId": "hall",
            "destroyType": 0,
            "ttlMinutes": 60,
            "shouldFreeze": False,
            "allowedSendersList": ["ann"],
            "metadataOwnerId": "ann",
            "metadata": {"a": "b"},
        },
        "/v4/open-channel/destroy": {"channelIds": ["x"]},
        SYNC: {"userId": "bob", "deviceId": "phone", "limit": 10, "cursor": "", "reinstalled": False},
        ACK: {
            "userId": "bob",
            "deviceId": "phone",
            "delivered": [{"channelType": 1, "channelId": "ann", "messageId": scene.direct}],
        },
        "/v4/user/conversation/list": {"userId": "bob", "pageSize": 10, "cursor": ""},
        "/v4/user/conversation/read": {
            "userId": "bob",
            "channelType": 3,
            "channelId": "g",
            "messageId": scene.group,
        },
        "/v4/user/conversation/update": {
            "userId": "bob",
            "channelType": 3,
            "channelId": "g",
            "pinned": True,
            "muted": True,
            "archived": False,
        },
        "/v4/user/conversation/delete": {"userId": "bob", "channelType": 3, "channelId": "d"},
        "/v4/user/device/list": {"userId": "bob"},
        "/v4/user/device/remove": {"userId": "bob", "deviceId": "tablet"},
        "/v4/auth/access-token/issue": {"userId": "bob", "name": "Bob", "avatarUrl": ""},
        "/v4/auth/access-token/expire": {"userIds": ["zoe"], "expiresAt": now},
        ADMIN: {"name": "new"},
        f"{OF_APP}/secret": {"overlapSeconds": 3600},
        f"{OF_APP}/keys": {"name": "dashboard", "scope": "admin-read"},
        f"{OF_APP}/instances": {"instance": "910000000001"},
        # a hold is on a channel or on a user, and a direct channel is its two users
        f"{OF_APP}/holds": {
            "reason": "a case",
            "channel": {"channelType": 1, "userIds": ["ann", "bob"], "channelId": None, "userId": None},
            "userId": None,
        },
    }
    others: dict[tuple[str, str], dict[str, Any] | None] = {
        ("GET", ADMIN): None,
        ("GET", f"{OF_APP}/settings"): None,
        ("PATCH", f"{OF_APP}/settings"): {
            "multiDeviceSync": True,
            "compensationDays": 2,
            "compensationTimeZone": "Europe/Berlin",
            "deleteCompensatedOnClean": False,
            "missedDays": 7,
            "undoSeconds": 3600,
            "cleanRateLimit": 0,
            "maxContentBytes": 131_072,
            "signatureMaxAgeSeconds": 0,
            "rejectReplayedNonces": False,
            "directGroupStorage": True,
            "openStorage": True,
            "deviceDays": 90,
            "leftDays": 30,
            "recallDays": 30,
            "journalDays": 365,
            "tokenDays": 365,
            "idempotencyHours": 24,
            "syncConversationDeletion": False,
            "mediaMaxBytes": 20_971_520,
            "mediaTypes": "*/*",
            "mediaUnusedHours": 24,
            # it stands alone or not at all: it may need the confirmation
            "retentionDays": None,
            "tencentSdkAppId": 1400000000,
            "tencentAdmin": "administrator",
            "tencentKey": "a key of theirs",
            "confirm": "x",
        },
        ("GET", f"{OF_APP}/keys"): None,
        ("DELETE", f"{OF_APP}/keys/{{keyId}}"): None,
        ("PATCH", f"{OF_APP}/instances/{{instance}}"): {"connected": False},
        ("GET", f"{OF_APP}/holds"): None,
        ("DELETE", f"{OF_APP}/holds/{{holdId}}"): None,
        ("GET", f"{OF_APP}/media"): None,
        ("DELETE", f"{OF_APP}/media/{{mediaId}}"): None,
        ("POST", IMPORT): None,
        ("GET", EXPORT): None,
        ("POST", UPLOAD): None,
        ("GET", FILE): None,
        **{("PUT", path): {"maxAgeDays": DAYS, "confirm": "x"} for path in POLICIES},
        **{(method, path): None for method in ("GET", "DELETE") for path in POLICIES},
        ("GET", f"{OF_APP}/retention/runs"): None,
        ("GET", "/healthz"): None,
        ("GET", "/readyz"): None,
    }
    return {("POST", path): body for path, body in posts.items()} | others


def filled(path: str, app_key: str, scene: Scene) -> str:
    """The path with its names filled in."""
    names = {
        "appKey": app_key,
        "keyId": scene.key_id,
        "holdId": scene.hold_id,
        "mediaId": scene.media_id,
        "channelType": "3",
        "channelId": "g",
        "instance": "bob",
    }
    for name, text in names.items():
        path = path.replace(f"{{{name}}}", text)
    return path
