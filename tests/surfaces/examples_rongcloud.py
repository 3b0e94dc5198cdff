"""Right requests of RongCloud's server API."""

from __future__ import annotations

from typing import Any

from tests.api.bodies import Scene
from tests.surfaces.example import Example, Place

TEXT = {"fromUserId": "ann", "objectName": "RC:TxtMsg", "content": '{"content":"hello"}'}


def post(path: str) -> Place:
    """A call by its path without the slash and the .json."""
    return "POST", f"/{path}.json"


def rongcloud(scene: Scene, now: int) -> dict[Place, Example]:
    """Everything as a form, its values as texts; queries as JSON, once with texts and once with real types."""
    forms: dict[str, dict[str, Any]] = {
        "message/private/publish": {**TEXT, "toUserId": ["bob", "cid"], "isIncludeSender": "1"},
        "message/group/publish": {**TEXT, "toGroupId": ["g"], "toUserId": ["bob"], "isMentioned": "0"},
        "message/chatroom/publish": {**TEXT, "toChatroomId": ["o"], "isPersisted": "1"},
        "message/system/publish": {**TEXT, "toUserId": ["bob"]},
        "message/recall": {
            "fromUserId": "ann",
            "conversationType": "3",
            "targetId": "g",
            "messageUID": scene.group,
            "sentTime": str(now),
            "isAdmin": "0",
            "isDelete": "0",
        },
        "conversation/message/history/clean": {
            "conversationType": "1",
            "fromUserId": "bob",
            "targetId": "ann",
            "msgTimestamp": str(now),
        },
        "group/create": {"userId": ["ann", "bob"], "groupId": "made", "groupName": "Made"},
        "group/join": {"userId": ["cid"], "groupId": "g", "groupName": "our group"},
        "group/quit": {"userId": ["cid"], "groupId": "g"},
        "group/dismiss": {"userId": "ann", "groupId": "d"},
        "chatroom/create": {"chatroom[hall]": "Hall", "chatroom[yard]": "Yard"},
        "chatroom/destroy": {"chatroomId": ["x"]},
        "user/getToken": {"userId": "bob", "name": "Bob", "portraitUri": "http://abc.com/portrait.jpg"},
    }
    start, end = now, now - 86_400_000
    texts = {"startTime": str(start), "endTime": str(end), "includeStart": "true", "pageSize": "10"}
    real = {"startTime": start, "endTime": end, "includeStart": True, "pageSize": 10}
    queries = {
        "v3/message/private/query": {"userId": "bob", "targetId": "ann", **texts},
        "v3/message/group/query": {"userId": "bob", "targetId": "g", **real},
        "v3/message/chatroom/query": {"userId": "bob", "targetId": "o", **real},
    }
    return {
        **{post(path): Example(body=body, form=True) for path, body in forms.items()},
        **{post(path): Example(body=body) for path, body in queries.items()},
    }
