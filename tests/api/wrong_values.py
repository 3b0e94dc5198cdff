"""What is wrong in each field of each route, and the code that answers it.

A field in a list or an object inside has the path to it: toUserIds.0 is the first entry.
"""

from __future__ import annotations

from typing import Any

from tests.api.bodies import (
    ADMIN,
    EXPLAIN,
    HIDE,
    HISTORIES,
    OF_APP,
    POLICIES,
    RECALL_BY_SENDER,
    SENDS,
    UPDATES,
)
from tests.api.client import ACK, CLEAN, DELETE, SYNC

ABSENT = object()
YES: Any = True
"""No text, no number, no list."""
Wrong = tuple[Any, int]
Fields = dict[str, list[Wrong]]


def wrong(*values: Any) -> list[Wrong]:
    """Values that are answered by 1002."""
    return [(value, 1002) for value in values]


REQUIRED = wrong(ABSENT, None)
TEXT = wrong(7, YES, 1.5, [], {}, "a\0b")
NUMBER = wrong("1", "", YES, 1.5, [], {}, 10**30, -(10**30))
SWITCH = wrong(0, 1, "true", "", [], {})
BIT = [*NUMBER, *wrong(2, -1)]


def text(*, most: int = 64, least: int = 1) -> list[Wrong]:
    """A text of at most so many characters, of whatever bytes."""
    return [*TEXT, *wrong(*[""] * least), ("x" * (most + 1), 1005), ("\U0001f600" * (most + 1), 1005)]


def whole(least: int, most: int) -> list[Wrong]:
    """An integer from least to most."""
    return [*NUMBER, *wrong(least - 1, most + 1)]


def ids(name: str, most: int, *, least: int = 1) -> Fields:
    """A list of ids."""
    several = [*wrong("bob", {}, 7, YES), *wrong(["b"] * (most + 1)), *wrong(*[[]] * least)]
    return {name: several, f"{name}.0": [*wrong(None), *text()]}


def must(fields: Fields) -> Fields:
    """The same fields, required."""
    return {name: table if "." in name else [*REQUIRED, *table] for name, table in fields.items()}


ID = [*REQUIRED, *text()]
TIME = whole(0, 10**14 - 1)
TYPE = [*REQUIRED, *NUMBER, *wrong(0, 2, 5, 7, 10, -1)]
PAGE_SIZE = whole(1, 100)
PAGE_TOKEN = [*text(most=1024, least=0), *wrong("x", "AAAA", "é")]
CONTENT = [*REQUIRED, *TEXT, ("", 1002), ("x" * 131_073, 1005), ("é" * 65_537, 1005)]
SEND: Fields = {
    "fromUserId": ID,
    "messageType": [*REQUIRED, *text(most=32)],
    "content": CONTENT,
    "shouldPersist": BIT,
    "clientMessageId": text(),
    "pushContent": TEXT,
    "pushData": TEXT,
    "contentAvailable": BIT,
    "hasMetadata": SWITCH,
    "metadata": [
        *wrong("x", [], 7, {"a": "\0"}, {"\0": "a"}, {"a": [{"b": "\0"}]}, {str(n): "" for n in range(101)}),
        ({"x" * 33: "a"}, 1005),
        ({"metadata": "a" * 4097}, 1005),
        ({"metadata": ["a" * 4097]}, 1005),
    ],
    "disablePush": SWITCH,
    "pushExt": TEXT,
    "disableUpdateLastMsg": SWITCH,
}
HISTORY: Fields = {
    "userId": ID,
    "channelId": ID,
    "startAt": [*REQUIRED, *TIME],
    "endAt": [*REQUIRED, *TIME],
    "includeStart": [*REQUIRED, *SWITCH],
    "pageSize": PAGE_SIZE,
}
REASON = text(most=512, least=0)
HASH = text(least=0)
UNDO = whole(0, 30 * 86_400)
SENT_AT = wrong("x", -1, 1.5, YES, 1_566_281_295, 10**14, 10**30, "9" * 5000, "٣", [], {}, "a\0b")
CLEANING: Fields = {
    "channelType": TYPE,
    "fromUserId": ID,
    "channelId": ID,
    "sentAt": SENT_AT,
    "scope": [*TEXT, *wrong("", "x", "Everyone", "user ")],
    "deleteCompensated": SWITCH,
    "deleteMedia": SWITCH,
    "undoSeconds": UNDO,
    "reason": REASON,
    "planHash": HASH,
}
JUDGED_BY_ITEM = {
    "channelType": [*REQUIRED, *wrong("1", "", YES, 1.5, [], {})],
    "sentAt": wrong(1.5, YES, [], {}, "a\0b"),
}
"""Of these a batch refuses what is of the wrong kind; the rest is the error of its item."""
MEMBERS: Fields = {
    "channelId": ID,
    **must(ids("userIds", 1000)),
    "shouldDeleteMute": BIT,
    "shouldDeleteAllowedSendersList": BIT,
    "shouldDeleteFavorites": BIT,
}
PAGED: Fields = {"pageToken": PAGE_TOKEN, "pageSize": PAGE_SIZE, "order": BIT}
PROFILE = wrong("x", [], 7, {"a": "\0"}, {"\0": 1})
MESSAGE_ID = [*text(), *wrong("x")]
SENT_ID = [*REQUIRED, *text()]
"""A text that is no id of ours is no such message."""
SETTINGS: Fields = {
    "multiDeviceSync": SWITCH,
    "compensationDays": whole(0, 7),
    "compensationTimeZone": [*text(), *wrong("Mars/X")],
    "deleteCompensatedOnClean": SWITCH,
    "missedDays": whole(1, 7),
    "undoSeconds": whole(0, 30 * 86_400),
    "cleanRateLimit": whole(0, 1_000_000),
    "maxContentBytes": whole(1, 1_048_576),
    "signatureMaxAgeSeconds": whole(0, 86_400),
    "rejectReplayedNonces": SWITCH,
    "directGroupStorage": SWITCH,
    "openStorage": SWITCH,
    "deviceDays": whole(8, 3650),
    "leftDays": whole(1, 3650),
    "recallDays": whole(8, 3650),
    "journalDays": whole(31, 3650),
    "tokenDays": whole(1, 3650),
    "idempotencyHours": whole(1, 720),
    "mediaMaxBytes": whole(0, 2_147_483_647),
    "mediaTypes": [*text(most=1024), *wrong("image", "*/png", "a/b;c")],
    "mediaUnusedHours": whole(1, 8_760),
    "retentionDays": whole(0, 36_500),
    "syncConversationDeletion": SWITCH,
    "tencentSdkAppId": whole(1, 4_294_967_295),
    "tencentAdmin": text(),
    "tencentKey": text(most=256),
    "confirm": HASH,
}
POSTS: dict[str, Fields] = {
    SENDS["direct"]: {
        **SEND,
        **must(ids("toUserIds", 1000)),
        "isEchoToSender": BIT,
        "count": wrong("1", "", YES, 1.5, [], {}),
        "verifyBlocklist": BIT,
        "needReadReceipt": BIT,
    },
    SENDS["group"]: {
        **SEND,
        **must(ids("toChannelIds", 3)),
        **ids("toUserIds", 1000),
        "isEchoToSender": BIT,
        "hasMention": BIT,
        "needReadReceipt": BIT,
    },
    SENDS["open"]: {
        **SEND,
        **must(ids("toChannelIds", 10)),
        "isEchoToSender": BIT,
        "priority": whole(0, 3),
    },
    SENDS["system"]: {**SEND, **must(ids("toUserIds", 100))},
    **dict.fromkeys(HISTORIES.values(), HISTORY),
    UPDATES["direct"]: {"fromUserId": ID, "targetId": ID, "messageId": SENT_ID, "content": CONTENT},
    UPDATES["group"]: {"fromUserId": ID, "channelId": ID, "messageId": SENT_ID, "content": CONTENT},
    "/v4/message/delete": {
        "fromUserId": ID,
        "channelType": TYPE,
        "channelId": ID,
        "messageId": SENT_ID,
        "sentAt": TIME,
        "isAdmin": BIT,
        "disablePush": SWITCH,
        "extra": TEXT,
        "disableUpdateLastMsg": SWITCH,
    },
    CLEAN: CLEANING,
    DELETE: CLEANING,
    f"{CLEAN}/batch": {
        "items": [*REQUIRED, *wrong("x", [], {}, 7, [7], [None], [[]], [{}] * 1001)],
        **{f"items.0.{name}": table for name, table in {**CLEANING, **JUDGED_BY_ITEM}.items()},
    },
    f"{CLEAN}/preview": CLEANING,
    f"{CLEAN}/status": {"requestId": ID},
    f"{CLEAN}/list": {
        "userId": text(),
        "channelType": [*NUMBER, *wrong(0, 2, 5, 7, 10, -1)],
        "channelId": text(),
        "state": [*TEXT, *wrong("", "x", "Applied", "done")],
        "startAt": TIME,
        "endAt": TIME,
        "pageSize": PAGE_SIZE,
        "cursor": PAGE_TOKEN,
    },
    f"{CLEAN}/cancel": {"requestId": ID, "reason": REASON, "operator": text()},
    f"{CLEAN}/user": {
        "userId": ID,
        "sentAt": SENT_AT,
        "deleteCompensated": SWITCH,
        "deleteMedia": SWITCH,
        "undoSeconds": UNDO,
        "reason": REASON,
    },
    RECALL_BY_SENDER: {
        "channelType": TYPE,
        "channelId": ID,
        **must(ids("fromUserIds", 100)),
        "before": SENT_AT,
        "reason": REASON,
    },
    HIDE: {
        "userId": ID,
        "channelType": [*TYPE, *wrong(4)],
        "channelId": ID,
        "messageIds": [*REQUIRED, *wrong("x", [], {}, 7, ["x"] * 101)],
        "messageIds.0": [*wrong(None), *text()],
    },
    EXPLAIN: {
        "channelType": TYPE,
        "channelId": ID,
        "messageId": [*REQUIRED, *MESSAGE_ID],
        "userId": ID,
        "deviceId": text(),
    },
    "/v4/group-channel/create": {
        "channelId": ID,
        "name": ID,
        "owner": ID,
        **ids("userIds", 30, least=0),
        "groupProfile": PROFILE,
        "permissions": PROFILE,
        "groupExtProfile": PROFILE,
    },
    "/v4/group-channel/join": MEMBERS,
    "/v4/group-channel/leave": MEMBERS,
    "/v4/group-channel/dismiss": {"channelId": ID},
    "/v4/group-channel/member/list": {"channelId": ID, "memberRole": whole(0, 3), **PAGED},
    "/v4/group-channel/joined/list": {"userId": ID, "role": whole(0, 3), **PAGED},
    "/v4/open-channel/create": {
        "channelId": ID,
        "destroyType": BIT,
        "ttlMinutes": whole(60, 10_080),
        "shouldFreeze": SWITCH,
        "allowedSendersList": wrong("x", {}, 7),
        "allowedSendersList.0": [*wrong(None), *text()],
        "metadataOwnerId": text(),
        "metadata": wrong("x", [], 7, {"a": 1}, {"a": None}, {"a": "\0"}),
    },
    "/v4/open-channel/destroy": must(ids("channelIds", 100)),
    SYNC: {
        "userId": ID,
        "deviceId": ID,
        "limit": whole(1, 500),
        "cursor": [*text(most=65_536, least=0), *wrong("x", "AAAA", "é")],
        "reinstalled": SWITCH,
    },
    ACK: {
        "userId": ID,
        "deviceId": ID,
        "delivered": [*REQUIRED, *wrong("x", [], {}, [7], [None], [{}] * 501)],
        "delivered.0.channelType": TYPE,
        "delivered.0.channelId": ID,
        "delivered.0.messageId": [*REQUIRED, *MESSAGE_ID],
    },
    "/v4/user/conversation/list": {"userId": ID, "pageSize": PAGE_SIZE, "cursor": PAGE_TOKEN},
    "/v4/user/conversation/read": {
        "userId": ID,
        "channelType": TYPE,
        "channelId": ID,
        "messageId": MESSAGE_ID,
    },
    "/v4/user/conversation/update": {
        "userId": ID,
        "channelType": TYPE,
        "channelId": ID,
        **dict.fromkeys(("pinned", "muted", "archived"), SWITCH),
    },
    "/v4/user/conversation/delete": {"userId": ID, "channelType": TYPE, "channelId": ID},
    "/v4/user/device/list": {"userId": ID},
    "/v4/user/device/remove": {"userId": ID, "deviceId": ID},
    "/v4/auth/access-token/issue": {"userId": ID, "name": ID, "avatarUrl": TEXT},
    "/v4/auth/access-token/expire": {**must(ids("userIds", 100)), "expiresAt": [*REQUIRED, *TIME]},
    ADMIN: {"name": ID},
    f"{OF_APP}/secret": {"overlapSeconds": whole(0, 30 * 86_400)},
    f"{OF_APP}/holds": {
        "reason": [*REQUIRED, *text(most=512)],
        "channel": wrong("x", [], 7, YES, {}),
        "channel.channelType": TYPE,
        "channel.channelId": text(),
        "channel.userIds": wrong(ABSENT, None, "bob", {}, 7, [], ["a"], ["a", "b", "c"]),
        "channel.userIds.0": [*wrong(None), *text()],
        "channel.userId": text(),
        "userId": [*text(), *wrong("ann")],
    },
    f"{OF_APP}/instances": {"instance": ID},
    f"{OF_APP}/keys": {
        "name": ID,
        "scope": [*REQUIRED, *TEXT, *wrong("", "x", "Admin", "api ")],
    },
}
FIELDS: dict[tuple[str, str], Fields] = {
    **{("POST", path): fields for path, fields in POSTS.items()},
    ("PATCH", f"{OF_APP}/settings"): SETTINGS,
    ("PATCH", f"{OF_APP}/instances/{{instance}}"): {"connected": [*REQUIRED, *SWITCH]},
    **{("PUT", path): {"maxAgeDays": [*REQUIRED, *whole(1, 36_500)], "confirm": HASH} for path in POLICIES},
}
