"""A right request for every route of the RyzeAPI surface."""

from __future__ import annotations

from tests.api.bodies import PHONES, Scene
from tests.surfaces.example import Example, Place
from tests.surfaces.ryze import GROUP_JID, INSTANCE

OF_INSTANCE = {"instance": INSTANCE}


def ryze(_scene: Scene, _now: int) -> dict[Place, Example]:
    """A request for each route."""
    assert PHONES[0] == INSTANCE
    return {
        ("DELETE", "/api/chat/deleteChat/{instance}"): Example(
            body={"number": PHONES[1], "deleteMedia": False}, names=OF_INSTANCE
        ),
        ("POST", "/api/chat/history/{instance}"): Example(
            body={
                "number": PHONES[1],
                "count": 10,
                "from": "2026-03-09T00:00:00Z",
                "to": "2026-03-10T23:59:59Z",
            },
            names=OF_INSTANCE,
        ),
        ("POST", "/api/chat/archive/{instance}"): Example(
            body={"number": GROUP_JID, "archive": True}, names=OF_INSTANCE
        ),
        ("DELETE", "/api/group/leave/{instance}"): Example(
            query={"identifier": GROUP_JID}, names=OF_INSTANCE
        ),
    }
