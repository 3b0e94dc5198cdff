"""What is wrong in each field of RongCloud's calls, and the code that answers it."""

from __future__ import annotations

from typing import Any

from tests.api.bodies import NOBODY
from tests.api.client import DAY_MS
from tests.surfaces.examples_rongcloud import rongcloud
from tests.surfaces.rongcloud import CLEAN

ABSENT = object()
LONG, NUL = "x" * 65, "a\0b"
NOW = 1_773_144_000_000
Wrong = tuple[str, str, Any, int]


def fields_of(path: str) -> dict[str, Any]:
    """The fields of a right request."""
    body: dict[str, Any] = rongcloud(NOBODY, NOW)["POST", f"/{path}.json"].body
    return {**body, "messageUID": "x"} if path == "message/recall" else body


def required(path: str, *names: str) -> list[Wrong]:
    return [(path, name, value, 1002) for name in names for value in (ABSENT, "")]


def ids(path: str, *names: str) -> list[Wrong]:
    return [(path, name, value, code) for name in names for value, code in ((LONG, 1005), (NUL, 1002))]


SENDS = {
    "message/private/publish": ("toUserId", 1000),
    "message/group/publish": ("toGroupId", 3),
    "message/chatroom/publish": ("toChatroomId", 10),
    "message/system/publish": ("toUserId", 100),
}
QUERIES = tuple(f"v3/message/{kind}/query" for kind in ("private", "group", "chatroom"))
TABLE: list[Wrong] = [
    *[
        row
        for path, (to, most) in SENDS.items()
        for row in (
            *required(path, "fromUserId", "objectName", "content", to),
            *ids(path, "fromUserId", to),
            (path, to, [f"u{number}" for number in range(most + 1)], 1002),
            (path, "objectName", "x" * 33, 1005),
            (path, "objectName", NUL, 1002),
            (path, "content", NUL, 1002),
            (path, "content", "x" * 131_073, 1005),
            (path, "content", "é" * 65_537, 1005),
            *((path, "isPersisted", value, 1002) for value in ("2", "-1", "yes", "1.5")),
            (path, "expansion", "maybe", 1002),
        )
    ],
    *[
        (path, "isIncludeSender", value, 1002)
        for path in list(SENDS)[:3]
        for value in ("2", "-1", "yes", "true")
    ],
    ("message/private/publish", "toUserId", ["bob", "ann"], 1002),
    ("message/system/publish", "toUserId", "ann", 1002),
    ("message/group/publish", "toGroupId", ["g", "d"], 1002),
    *required("message/recall", "fromUserId", "conversationType", "targetId", "messageUID"),
    *ids("message/recall", "fromUserId", "targetId", "messageUID"),
    ("message/recall", "isAdmin", "2", 1002),
    *required(CLEAN, "fromUserId", "conversationType", "targetId"),
    *ids(CLEAN, "fromUserId", "targetId"),
    *[
        (path, "conversationType", value, 1002)
        for path in (CLEAN, "message/recall")
        for value in ("0", "2", "5", "7", "10", "-1", "PRIVATE", "1.5", "9" * 30)
    ],
    *[
        (CLEAN, "msgTimestamp", value, 1002)
        # what a caller's slip makes of a time must never clean everything
        for value in (
            "null",
            "undefined",
            "NaN",
            "-1",
            "1.5",
            "1773144000",
            "1773144000000000",
            "١٢٣",
            "9" * 5000,
        )
    ],
    *[(CLEAN, "deleteMedia", value, 1002) for value in ("2", "-1", "yes", "1.5", "undefined")],
    *[
        row
        for path in QUERIES
        for row in (
            *required(path, "userId", "targetId", "startTime", "endTime"),
            *ids(path, "userId", "targetId"),
            *(
                (path, name, value, 1002)
                for name in ("startTime", "endTime")
                for value in ("-1", "x", 10**14)
            ),
            *((path, "pageSize", value, 1002) for value in ("0", "101", "ten")),
            *((path, "includeStart", value, 1002) for value in ("2", "yes")),
            (path, "endTime", str(NOW - 14 * DAY_MS - 1), 1002),
        )
    ],
    *[
        row
        for path in ("group/create", "group/join", "group/quit")
        for row in (
            *required(path, "userId", "groupId"),
            *ids(path, "userId", "groupId"),
            (path, "userId", [f"u{number}" for number in range(1001)], 1002),
        )
    ],
    *required("group/create", "groupName"),
    ("group/create", "groupName", "x" * 256, 1005),
    ("group/create", "groupName", NUL, 1002),
    *required("group/dismiss", "groupId"),
    *ids("group/dismiss", "groupId"),
    *required("chatroom/destroy", "chatroomId"),
    *ids("chatroom/destroy", "chatroomId"),
    ("chatroom/destroy", "chatroomId", [f"c{number}" for number in range(101)], 1002),
    *required("user/getToken", "userId"),
    *ids("user/getToken", "userId"),
    ("user/getToken", "name", "x" * 129, 1005),
    ("user/getToken", "portraitUri", "x" * 1025, 1005),
]
ROOMS: list[tuple[dict[str, str], int]] = [
    ({"name": "x"}, 1002),
    ({"chatroom": "x"}, 1002),
    ({"chatroom[]": "x"}, 1002),
    ({"chatroom": "x", "chatroom[a]": "x"}, 1002),
    *[
        ({"chatroom[right]": "Right", f"chatroom[{id_}]": name}, code)
        for id_, name, code in (
            ("a", "", 1002),
            ("a", "x" * 65, 1005),
            ("a", NUL, 1002),
            (LONG, "x", 1005),
            (NUL, "x", 1002),
            ("", "x", 1002),
        )
    ],
    ({f"chatroom[{number}]": "x" for number in range(101)}, 1002),
]
EXTRAS: list[tuple[str, int]] = [
    ("no JSON", 1002),
    ("[]", 1002),
    ('"text"', 1002),
    ('{"a":1}', 1002),
    ('{"a":{"b":"c"}}', 1002),
    ('{"a":"\\u0000"}', 1002),
    ("[" * 100_000, 1002),
    ('{"' + "x" * 33 + '":"a"}', 1005),
    ('{"a":"' + "x" * 4097 + '"}', 1005),
    ("{" + ",".join(f'"{number}":"x"' for number in range(101)) + "}", 1002),
]
