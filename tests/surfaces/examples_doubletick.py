"""A right request for every route of the DoubleTick surface."""

from __future__ import annotations

from tests.api.bodies import PHONES, Scene
from tests.surfaces.example import Example, Place

BUSINESS, CUSTOMER = PHONES


def doubletick(_scene: Scene, _now: int) -> dict[Place, Example]:
    """A request for each route."""
    return {
        ("DELETE", "/conversation/chat/messages"): Example(body={"to": CUSTOMER, "from": BUSINESS}),
        ("DELETE", "/customer"): Example(body={"phoneNumbers": [CUSTOMER]}),
        ("GET", "/chat-messages"): Example(
            query={
                "wabaNumber": BUSINESS,
                "customerNumber": CUSTOMER,
                "startDate": "09-03-2026",
                "endDate": "10-03-2026",
                "nextCursor": "",
            }
        ),
        ("GET", "/chats"): Example(query={"wabaNumbers": BUSINESS, "limit": "10", "status": "all"}),
    }
