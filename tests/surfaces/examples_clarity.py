"""Right requests of Clarity's calls, by bob; see tests.surfaces.examples."""

from __future__ import annotations

from history.cursors import read_message_id
from server.surfaces.clarity.ids import conversation_id
from tests.api.bodies import Scene
from tests.surfaces.example import Example, Place


def clarity(scene: Scene, _: int) -> dict[Place, Example]:
    """Bob's conversation with ann, and her message in it."""
    channel_id = read_message_id(scene.direct)[0] if scene.direct else 0
    id_ = conversation_id(channel_id, "bob")
    conversation, message = {"id": id_}, {"id": scene.direct}
    group = {"id": conversation_id(read_message_id(scene.group)[0] if scene.group else 0, "bob")}
    return {
        ("GET", "/v1/conversations"): Example(query={"limit": "10"}),
        ("POST", "/v1/conversations"): Example(body={"contact_id": "ann"}, form=True),
        ("GET", "/v1/conversations/{id}"): Example(names=conversation),
        ("PUT", "/v1/conversations/{id}"): Example(names=conversation, body={"is_muted": "true"}, form=True),
        ("GET", "/v1/messages"): Example(query={"conversation_id": id_, "limit": "10"}),
        ("POST", "/v1/messages"): Example(body={"conversation_id": id_, "message": "hello"}, form=True),
        ("GET", "/v1/messages/{id}"): Example(names=message),
        ("PUT", "/v1/messages/{id}"): Example(names=message, body={}),
        ("DELETE", "/v1/messages/{id}"): Example(names=message),
        ("DELETE", "/v1/conversations/{id}"): Example(names=group),
    }
