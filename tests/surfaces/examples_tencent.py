"""A right request for every route of the Tencent surface."""

from __future__ import annotations

from typing import Any

from tests.api.bodies import Scene
from tests.surfaces.example import Example, Place

TEXT = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi, beauty"}}
WEB = ("POST", "/v1/conversations/delete")


def tencent(_: Scene, now: int) -> dict[Place, Example]:
    """Over the scene of ann and bob, who are both in the group g."""
    seconds = now // 1000
    bodies: dict[str, Any] = {
        "recentcontact/delete": {"From_Account": "bob", "Type": 2, "ToGroupid": "d", "ClearRamble": 1},
        "recentcontact/batch_delete": {
            "From_Account": "bob",
            "ContactItem": [{"Type": 1, "To_Account": "zoe"}, {"Type": 2, "ToGroupid": "d"}],
            "ClearRamble": 0,
        },
        "group_open_http_svc/clear_group_msg": {"GroupId": "d"},
        "group_open_http_svc/group_msg_get_simple": {"GroupId": "g", "ReqMsgNumber": 20},
        "openim/sendmsg": {
            "SyncOtherMachine": 1,
            "From_Account": "ann",
            "To_Account": "bob",
            "MsgRandom": 1287657,
            "MsgBody": [TEXT],
        },
        "openim/admin_getroammsg": {
            "Operator_Account": "bob",
            "Peer_Account": "ann",
            "MaxCnt": 20,
            "MinTime": seconds - 60,
            "MaxTime": seconds,
        },
    }
    return {
        **{("POST", f"/v4/{path}"): Example(body=body) for path, body in bodies.items()},
        WEB: Example(body={"conversationIDList": ["C2Cann"], "clearHistoryMessage": False}),
    }
