"""What a clean did, would do and did not: receipts, previews, undo, many at once, holds, policies, explanations."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from history.axis import DAY, SECOND
from server.calls import SERVICES
from tests.api.bodies import EXPLAIN, HIDE
from tests.api.client import CLEAN, Api
from worker.jobs import apply, count, job_steps

DIRECT = {"channelType": 1, "fromUserId": "bob", "channelId": "ann"}


async def work(api: Api) -> None:
    """What the worker does with what waits: jobs, applying, counting."""
    services = api.client.app[SERVICES]
    await job_steps.work_on_jobs(services.jobs, api.clock)
    await apply.apply_forgotten(services.cleans, api.clock, after=0)
    await count.count_applied(services.receipts, api.clock)


async def cleaned(api: Api, **more: object) -> str:
    """The id of a clean that was accepted; by default bob's of his channel with ann."""
    answer = await api.post(CLEAN, {**DIRECT, **more})
    answer.done()
    return answer.headers["Clean-Request-Id"]


async def status(api: Api, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await api.do("channel/message/history/clean/status", requestId=request_id)
    return found


async def cancel(api: Api, request_id: str, **more: object) -> None:
    await api.do("channel/message/history/clean/cancel", requestId=request_id, **more)


async def sent(api: Api, *contents: str, sender: str = "ann", to: str = "bob") -> list[str]:
    """Messages, a second apart; their ids."""
    ids = []
    for content in contents:
        ids += await api.send(sender, to, content=content)
        api.clock.advance(SECOND)
    return ids


async def test_a_receipt_tells_what_a_clean_did(api: Api) -> None:
    await sent(api, "1", "2", "3")
    id_ = await cleaned(api, reason="asked")
    waiting = await status(api, id_)
    assert (waiting["state"], waiting["hidden"], waiting["appliedAt"]) == ("accepted", None, None)
    await work(api)
    receipt = await status(api, id_)
    assert (
        receipt.items()
        >= {
            "requestId": id_,
            "state": "applied",
            "channelType": 1,
            "channelId": "ann",
            "userId": "bob",
            "operator": None,
            "acceptedAt": api.now_ms,
            "reason": "asked",
            "source": "v4",
            "undoUntil": receipt["acceptedAt"] + 86_400_000,
            "deleteCompensated": {"value": False, "from": "app"},
            "hidden": 3,
            "keptMissed": 3,
            "keptHeld": 0,
        }.items()
    )
    api.clock.advance(SECOND)
    nothing = await cleaned(api)
    await work(api)
    assert (await status(api, nothing))["hidden"] == 0
    page = await api.do("channel/message/history/clean/list", userId="bob", pageSize=1)
    assert [one["requestId"] for one in page["cleans"]] == [nothing]
    rest = await api.do("channel/message/history/clean/list", userId="bob", cursor=page["cursor"])
    assert [one["requestId"] for one in rest["cleans"]] == [id_]
    assert "cursor" not in rest


@pytest.mark.parametrize("path", ["status", "cancel"])
@pytest.mark.parametrize("id_", ["x", "AAAA", "é", "9" * 64])
async def test_an_id_that_is_none_is_not_found(api: Api, path: str, id_: str) -> None:
    (await api.post(f"{CLEAN}/{path}", {"requestId": id_})).refused(404, 404)


async def test_a_preview_changes_nothing_and_its_hash_refuses_another_plan(api: Api) -> None:
    await sent(api, "1", "2")
    body = {**DIRECT, "sentAt": api.now_ms}
    before = await api.everything()
    plan = await api.do("channel/message/history/clean/preview", **body)
    assert await api.everything() == before
    assert (plan["hidden"], plan["keptMissed"], plan["complete"]) == (2, 2, True)
    api.clock.advance(-SECOND)
    await api.send(content="3")
    before = await api.everything()
    (await api.post(CLEAN, {**body, "planHash": plan["planHash"]})).refused(409, 4091, "preview")
    assert await api.everything() == before
    plan = await api.do("channel/message/history/clean/preview", **body)
    id_ = await cleaned(api, **{**body, "planHash": plan["planHash"]})
    await work(api)
    assert (await status(api, id_))["hidden"] == plan["hidden"]


async def test_a_preview_tells_files_where_the_clean_gives_them_up_and_its_hash_stands_for_them(
    api: Api,
) -> None:
    id_ = (await api.upload(api.keys.api_key, b"12345")).json["id"]
    await sent(api, f"media:[{id_}]")
    preview = "channel/message/history/clean/preview"
    for kept in ({}, {"deleteMedia": None}, {"deleteMedia": False}):
        plan = await api.do(preview, **DIRECT, **kept)
        assert (plan["reclaimedFiles"], plan["reclaimedBytes"]) == (0, 0)
    plan = await api.do(preview, **DIRECT, deleteMedia=True)
    assert (plan["reclaimedFiles"], plan["reclaimedBytes"]) == (1, 5)
    (await api.clean(planHash=plan["planHash"])).refused(409, 4091)
    (await api.clean(planHash=plan["planHash"], deleteMedia=True)).done()


async def test_a_cancelled_clean_gives_history_back_and_says_who_and_why(api: Api) -> None:
    await sent(api, "1", "2")
    id_ = await cleaned(api)
    await work(api)
    assert await api.contents() == []
    await cancel(api, id_, reason="a mistake", operator="cid")
    assert await api.contents() == ["2", "1"]
    receipt = await status(api, id_)
    assert (receipt["state"], receipt["cancelledBy"], receipt["cancelReason"], receipt["cancelledAt"]) == (
        "cancelled",
        "cid",
        "a mistake",
        api.now_ms,
    )


async def test_after_its_undo_window_a_clean_stays(api: Api) -> None:
    await sent(api, "1")
    id_ = await cleaned(api, undoSeconds=60)
    await work(api)
    api.clock.advance(61 * SECOND)
    (await api.post(f"{CLEAN}/cancel", {"requestId": id_})).refused(409, 409)
    assert await api.contents() == []


async def test_a_batch_does_the_good_ones_and_names_the_bad(api: Api) -> None:
    await sent(api, "1")
    await sent(api, "2", sender="cid")
    items = [DIRECT, {**DIRECT, "channelType": 2}, {**DIRECT, "channelId": "cid"}]
    done = (await api.do("channel/message/history/clean/batch", items=items))["items"]
    assert [item["code"] for item in done] == [0, 1002, 0]
    assert "channelType" in done[1]["errorMessage"]
    assert done[1]["requestId"] is None
    assert (await api.contents(), await api.contents("bob", "cid")) == ([], [])
    assert (await status(api, done[2]["requestId"]))["channelId"] == "cid"


async def test_a_batch_holds_each_item_against_its_own_plan(api: Api) -> None:
    """The first of one plan is done, what follows would differ; other channels and those without a hash are done."""
    plans = {}
    for other in ("ann", "cid", "dan"):
        await sent(api, "1", "2", sender=other)
        body = {**DIRECT, "channelId": other}
        plan = await api.do("channel/message/history/clean/preview", **body)
        plans[other] = {**body, "planHash": plan["planHash"]}
    await sent(api, "3", sender="dan")
    items = [
        plans["ann"],
        plans["ann"],
        plans["cid"],
        plans["dan"],
        {**DIRECT, "channelId": "ann"},
        plans["ann"],
    ]
    done = (await api.do("channel/message/history/clean/batch", items=items))["items"]
    assert sorted(item["code"] for item in (done[0], done[1], done[5])) in ([0, 4091, 4091], [4091] * 3)
    assert [item["code"] for item in done[2:5]] == [0, 4091, 0]
    assert [item["requestId"] is None for item in done] == [item["code"] != 0 for item in done]
    assert [await api.contents("bob", other) for other in ("ann", "cid", "dan")] == [[], [], ["3", "2", "1"]]


async def test_everyone_is_cleaned_for_all_and_each_message_counts_once(api: Api) -> None:
    await api.send("ann", "bob", content="1", isEchoToSender=1)
    api.clock.advance(SECOND)
    id_ = await cleaned(api, scope="everyone")
    await work(api)
    assert (await api.contents("bob", "ann"), await api.contents("ann", "bob")) == ([], [])
    receipt = await status(api, id_)
    assert (receipt["userId"], receipt["operator"], receipt["hidden"]) == (None, "bob", 1)


async def test_a_scope_of_one_user_is_refused_in_open_channels(api: Api) -> None:
    body = {"channelType": 4, "fromUserId": "bob", "channelId": "o", "scope": "user"}
    (await api.post(CLEAN, body)).refused(400, 1002, "scope")


async def test_hiding_answers_each_id_and_leaves_the_others_theirs(api: Api) -> None:
    [first] = await api.send("ann", "bob", content="1", isEchoToSender=1)
    [other] = await api.send("ann", "cid", content="2")
    body = {"userId": "bob", "channelType": 1, "channelId": "ann", "messageIds": [first, other, "x"]}
    items = (await api.post(HIDE, body)).done()["items"]
    assert [(item["messageId"], item["code"]) for item in items] == [(first, 0), (other, 404), ("x", 404)]
    assert await api.contents("bob", "ann") == []
    assert await api.contents("ann", "bob") == ["1"]
    (await api.post(HIDE, {**body, "channelType": 4})).refused(400, 1002, "channelType")


async def test_holds_are_placed_listed_and_released(api: Api) -> None:
    path = f"/admin/apps/{api.keys.app_key}/holds"
    channel = {"channelType": 1, "userIds": ["bob", "ann"]}
    placed = [
        (await api.admin("POST", path, {"reason": "a case", **more})).json
        for more in ({"channel": channel}, {"userId": "bob"}, {})
    ]
    assert [hold["kind"] for hold in placed] == ["channel", "user", "app"]
    assert placed[0]["channelKey"] == ["ann", "bob"]
    listed = (await api.admin("GET", path)).json["holds"]
    assert sorted(listed, key=lambda hold: str(hold["id"])) == sorted(placed, key=lambda hold: hold["id"])
    both = {"reason": "a case", "channel": channel, "userId": "bob"}
    (await api.admin("POST", path, both)).refused(400, 1002, "userId")
    await sent(api, "1")
    id_ = await cleaned(api)
    await work(api)
    assert await api.contents() == []
    assert (await status(api, id_))["keptHeld"] == 1
    for hold in placed:
        assert (await api.admin("DELETE", f"{path}/{hold['id']}")).json == {}
        (await api.admin("DELETE", f"{path}/{hold['id']}")).refused(404, 404)
    (await api.admin("DELETE", f"{path}/{uuid4()}")).refused(404, 404)
    assert (await api.admin("GET", path)).json == {"holds": []}


async def test_a_shorter_policy_wants_its_confirmation_and_is_in_force_at_once(api: Api) -> None:
    await sent(api, "old")
    api.clock.advance(3 * DAY)
    await sent(api, "new")
    path = f"/admin/apps/{api.keys.app_key}/policies/1"
    before = await api.everything()
    refused = await api.admin("PUT", path, {"maxAgeDays": 2})
    assert (refused.status, refused.code) == (409, 4092)
    assert (refused.json["messages"], refused.json["channels"]) == (1, 1)
    assert (await api.admin("PUT", path, {"maxAgeDays": 2, "confirm": "wrong"})).code == 4092
    assert await api.everything() == before
    assert await api.contents() == ["new", "old"]
    body = {"maxAgeDays": 2, "confirm": refused.json["confirm"]}
    assert (await api.admin("PUT", path, body)).json == {"maxAgeDays": 2, "effectiveMaxAgeDays": 2}
    assert await api.contents() == ["new"]
    assert (await api.admin("PUT", path, {"maxAgeDays": 9})).status == 200
    gone = await api.admin("DELETE", path)
    assert gone.json == (await api.admin("GET", path)).json
    assert gone.json == {"maxAgeDays": None, "effectiveMaxAgeDays": None}


@pytest.mark.parametrize("type_", ["0", "2", "x", "01", "9" * 5000, "%00", "1/ann", "6/ann"])
async def test_a_policy_for_what_has_none_is_refused(api: Api, type_: str) -> None:
    answer = await api.admin("PUT", f"/admin/apps/{api.keys.app_key}/policies/{type_}", {"maxAgeDays": 9})
    answer.refused(400, 1002, "channel")


async def test_retention_days_stand_alone_and_want_their_confirmation(api: Api) -> None:
    path = f"/admin/apps/{api.keys.app_key}/settings"
    (await api.admin("PATCH", path, {"retentionDays": 9, "missedDays": 3})).refused(
        400, 1002, "retentionDays"
    )
    refused = await api.admin("PATCH", path, {"retentionDays": 9})
    assert refused.code == 4092
    await api.set(retentionDays=9, confirm=refused.json["confirm"])
    for days in (36_500, 0):
        answer = await api.admin("PATCH", path, {"retentionDays": days})
        assert (answer.status, answer.json.get("retentionDays")) == (200, days)


async def test_removing_a_policy_that_held_longer_is_confirmed_in_the_query(api: Api) -> None:
    path = f"/admin/apps/{api.keys.app_key}/policies/1"
    for days in (30, 60):
        where, name = (
            (f"/admin/apps/{api.keys.app_key}/settings", "retentionDays")
            if days == 30
            else (path, "maxAgeDays")
        )
        verb = "PATCH" if days == 30 else "PUT"
        asked = await api.admin(verb, where, {name: days})
        if asked.status == 409:
            await api.admin(verb, where, {name: days, "confirm": asked.json["confirm"]})
    refused = await api.admin("DELETE", path)
    assert refused.code == 4092
    done = await api.admin("DELETE", f"{path}?confirm={refused.json['confirm']}")
    assert done.json == {"maxAgeDays": None, "effectiveMaxAgeDays": 30}


async def test_an_explanation_names_the_rule_that_decided(api: Api) -> None:
    [id_] = await sent(api, "1")
    body = {"channelType": 1, "channelId": "ann", "messageId": id_, "userId": "bob"}
    shown = (await api.post(EXPLAIN, body)).done()
    assert (shown["history"]["outcome"], shown["disk"]["outcome"]) == ("shown", "kept")
    await cleaned(api)
    await work(api)
    hidden = (await api.post(EXPLAIN, body)).done()
    assert hidden["history"]["outcome"] == "hidden"
    assert all(verdict["rule"] and verdict["because"] for verdict in hidden.values())


async def test_all_channels_of_a_user_are_one_job_that_can_be_cancelled(api: Api) -> None:
    for sender in ("ann", "cid"):
        await sent(api, "1", sender=sender)
    id_ = (await api.do("channel/message/history/clean/user", userId="bob"))["requestId"]
    assert (await status(api, id_)).items() >= {"state": "running", "done": 0, "total": 2}.items()
    await work(api)
    job = await status(api, id_)
    assert (job["kind"], job["state"], job["done"], job["secondsLeft"]) == ("clean-user", "done", 2, 0)
    assert (await api.contents("bob", "ann"), await api.contents("bob", "cid")) == ([], [])
    at = api.now_ms
    await cancel(api, id_, operator="olga", reason="a mistake")
    await work(api)
    job = await status(api, id_)
    assert (job["state"], job["cancelledAt"]) == ("cancelled", at)
    assert (job["cancelledBy"], job["cancelReason"]) == ("olga", "a mistake")
    assert (await api.contents("bob", "ann"), await api.contents("bob", "cid")) == (["1"], ["1"])


async def test_a_job_that_is_done_and_past_its_undo_windows_cannot_be_cancelled(api: Api) -> None:
    await sent(api, "1")
    body = {"userId": "bob", "undoSeconds": 60}
    id_ = (await api.do("channel/message/history/clean/user", **body))["requestId"]
    await work(api)
    api.clock.advance(61 * SECOND)
    before = await api.everything()
    (await api.post(f"{CLEAN}/cancel", {"requestId": id_})).refused(409, 409, "can no longer be undone")
    assert await api.everything() == before
    assert (await status(api, id_))["cancelledBy"] is None


async def test_what_a_sender_wrote_before_is_recalled_for_good(api: Api) -> None:
    await sent(api, "1", "2")
    await sent(api, "of bob", sender="bob", to="ann")
    before, path = api.now_ms, "/v4/channel/message/recall-by-sender"
    await sent(api, "later")
    body = {"channelType": 1, "channelId": "bob", "fromUserIds": ["ann"], "before": before}
    id_ = (await api.post(path, body)).done()["requestId"]
    await work(api)
    job = await status(api, id_)
    assert (job["kind"], job["state"], job["done"]) == ("recall-by-sender", "done", 2)
    assert await api.contents("bob", "ann") == ["later"]
    assert await api.contents("ann", "bob") == ["of bob"]
    (await api.post(f"{CLEAN}/cancel", {"requestId": id_})).refused(409, 409, "final")
    (await api.post(path, {**body, "before": "x"})).refused(400, 1002, "before")
    (await api.post(path, {**body, "fromUserIds": ["bob"]})).refused(400, 1002, "fromUserIds")
