"""RyzeAPI's instances, for admins: users of an app with a token of their own."""

from __future__ import annotations

from history.apps.model import Instance
from history.axis import MILLISECOND
from server.calls import Call, Reply
from server.wire import admin as wire


async def create_instance(call: Call[wire.NewInstance]) -> Reply:
    """Give a user a token of his own, shown in this answer alone; one that he had opens nothing from now on."""
    token, made = await call.services.apps.create_instance(call.path["appKey"], call.body.instance)
    return Reply(result=wire.InstanceMade(made.user_id, made.connected, _created_at(made), token))


async def connect_instance(call: Call[wire.InstancePatch]) -> Reply:
    """Say whether calls for an instance are taken; those for one that is not connected are answered 503."""
    found = await call.services.apps.connect_instance(
        call.path["appKey"], call.path["instance"], connected=call.body.connected
    )
    return Reply(result=wire.InstanceView(found.user_id, found.connected, _created_at(found)))


def _created_at(instance: Instance) -> int:
    return instance.created_at // MILLISECOND
