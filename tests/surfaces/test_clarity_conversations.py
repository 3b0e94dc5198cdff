"""Clarity's conversations: the seed's own calls, filters, cursors, archive, delete, and whose is whose."""

from __future__ import annotations

import pytest

from history.axis import SECOND
from tests.api.client import Api
from tests.surfaces.clarity import FIELDS, client, refused


async def test_the_calls_of_the_page_are_answered_as_it_shows_them(api: Api) -> None:
    bob = await client(api)
    created_at = api.now_ms // 1000
    made = await bob.done("POST", "conversations", b"contact_id=WAz8eIbvDR60rouK")
    assert set(made) == FIELDS
    assert made == {
        "id": made["id"],
        "contact_id": "WAz8eIbvDR60rouK",
        "group_id": None,
        "pinned_message_id": None,
        "is_pinned": False,
        "is_muted": False,
        "last_active_at": None,
        "last_opened_at": None,
        "created_at": created_at,
        "archived_at": None,
    }
    assert len(made["id"]) == 16
    assert made["id"].isalnum()
    listed = await bob.done("GET", "conversations", limit=10)
    assert listed == {"has_more": False, "data": [made]}
    assert await bob.done("GET", f"conversations/{made['id']}") == made
    muted = await bob.done("PUT", f"conversations/{made['id']}", b"is_muted=true")
    assert muted == {**made, "is_muted": True}
    assert await bob.done("DELETE", f"conversations/{made['id']}") is None
    assert await bob.listed() == []


async def test_json_does_as_well_as_a_form(api: Api) -> None:
    bob = await client(api)
    made = await bob.json("POST", "conversations", {"contact_id": "ann", "group_id": None})
    changed = await bob.json(
        "PUT", f"conversations/{made['id']}", {"is_pinned": True, "archived_at": 705103200}
    )
    assert (changed["is_pinned"], changed["archived_at"]) == (True, 705103200)


@pytest.mark.parametrize("form", [b"", b"contact_id=&group_id=", b"contact_id=ann&group_id=g"])
async def test_a_conversation_is_with_one_contact_or_in_one_group(api: Api, form: bytes) -> None:
    bob = await client(api)
    before = await api.everything()
    refused(await bob.call("POST", "conversations", form), 400, "contact_id")
    assert await api.everything() == before


async def test_an_existing_one_is_answered_as_it_is(api: Api) -> None:
    bob = await client(api)
    id_ = await bob.with_("ann")
    await bob.done("PUT", f"conversations/{id_}", {"is_muted": "true"})
    again = await bob.done("POST", "conversations", {"contact_id": "ann"})
    assert (again["id"], again["is_muted"]) == (id_, True)


async def test_groups_are_for_those_who_take_part(api: Api) -> None:
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    bob, eve = await client(api), await client(api, "eve")
    made = await bob.done("POST", "conversations", {"group_id": "g"})
    assert (made["group_id"], made["contact_id"]) == ("g", None)
    refused(await eve.call("POST", "conversations", {"group_id": "g"}), 404)
    assert await eve.listed() == []


async def test_nobody_talks_to_himself(api: Api) -> None:
    bob = await client(api)
    refused(await bob.call("POST", "conversations", {"contact_id": "bob"}), 400, "contact_id")


async def test_filters_count_when_they_are_true_and_archived_ones_are_listed(api: Api) -> None:
    bob = await client(api)
    await api.do("group-channel/create", channelId="g", name="g", owner="bob", userIds=["ann"])
    ids = {name: await bob.with_(name) for name in ("ann", "cid", "dan")}
    await bob.done("PUT", f"conversations/{ids['ann']}", {"is_muted": "true"})
    await bob.done("PUT", f"conversations/{ids['cid']}", {"is_pinned": "true"})
    await bob.done("PUT", f"conversations/{ids['dan']}", {"archived_at": "705103200"})
    assert set(await bob.listed()) == {"ann", "cid", "dan", "g"}
    assert await bob.listed(muted="true") == ["ann"]
    assert await bob.listed(pinned="true") == ["cid"]
    assert await bob.listed(archived="true") == ["dan"]
    assert await bob.listed(group_id="g") == ["g"]
    assert set(await bob.listed(muted="false", archived="false")) == {"ann", "cid", "dan", "g"}
    assert await bob.listed(group_id="nowhere") == []


@pytest.mark.parametrize("form", [b"archived_at=", b"archived_at"])
async def test_archived_at_archives_and_restores(api: Api, form: bytes) -> None:
    bob = await client(api)
    id_ = await bob.with_("ann")
    assert (await bob.done("PUT", f"conversations/{id_}", b"archived_at=705103200"))[
        "archived_at"
    ] == 705103200
    assert (await bob.done("PUT", f"conversations/{id_}", b"is_muted=true"))["archived_at"] == 705103200
    assert (await bob.done("PUT", f"conversations/{id_}", form))["archived_at"] is None
    await bob.json("PUT", f"conversations/{id_}", {"archived_at": 705103200})
    assert (await bob.json("PUT", f"conversations/{id_}", {"archived_at": None}))["archived_at"] is None


@pytest.mark.parametrize("value", ["soon", "-1", "1e3", "99999999999999", "705103200.5", "true"])
async def test_archived_at_is_a_time_in_seconds(api: Api, value: str) -> None:
    bob = await client(api)
    id_ = await bob.with_("ann")
    refused(await bob.call("PUT", f"conversations/{id_}", {"archived_at": value}), 400, "archived_at")
    assert (await bob.done("GET", f"conversations/{id_}"))["archived_at"] is None


async def test_pages_go_both_ways_the_newest_activity_first(api: Api) -> None:
    bob = await client(api)
    names = [f"user{number}" for number in range(25)]
    for name in names:
        api.clock.advance(SECOND)
        await api.send(name, "bob")
    newest = names[::-1]
    assert await bob.listed() == newest[:10]
    page = await bob.done("GET", "conversations", limit=10)
    assert page["has_more"]
    second = await bob.done("GET", "conversations", limit=10, starting_after=page["data"][-1]["id"])
    assert [item["contact_id"] for item in second["data"]] == newest[10:20]
    last = await bob.done("GET", "conversations", limit=10, starting_after=second["data"][-1]["id"])
    assert [item["contact_id"] for item in last["data"]] == newest[20:]
    assert not last["has_more"]
    back = await bob.done("GET", "conversations", limit=10, ending_before=second["data"][0]["id"])
    assert [item["contact_id"] for item in back["data"]] == newest[:10]
    assert not back["has_more"]
    assert len(await bob.listed(limit=100)) == 25


async def test_a_page_goes_on_where_it_ended_while_things_move(api: Api) -> None:
    bob = await client(api)
    for name in ("a", "b", "c", "d", "e"):
        api.clock.advance(SECOND)
        await api.send(name, "bob")
    page = await bob.done("GET", "conversations", limit=2)
    assert [item["contact_id"] for item in page["data"]] == ["e", "d"]
    api.clock.advance(SECOND)
    # the very conversation that the page ended with, and one that was not listed yet
    await api.send("d", "bob")
    await api.send("b", "bob")
    rest = await bob.listed(limit=10, starting_after=page["data"][-1]["id"])
    assert rest == ["c", "a"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5"])
async def test_limit_is_1_to_100(api: Api, limit: str) -> None:
    bob = await client(api)
    refused(await bob.call("GET", "conversations", limit=limit), 400, "limit")


@pytest.mark.parametrize("name", ["starting_after", "ending_before"])
async def test_cursors_are_ones_own_conversations(api: Api, name: str) -> None:
    bob, ann = await client(api), await client(api, "ann")
    theirs = await ann.with_("cid")
    for value in (theirs, "x", "x" * 16, "\u00e4" * 16):
        refused(await bob.call("GET", "conversations", **{name: value}), 400)
    both = {"starting_after": await bob.with_("cid"), "ending_before": await bob.with_("dan")}
    refused(await bob.call("GET", "conversations", **both), 400, "ending_before")


async def test_another_users_conversation_is_not_there(api: Api) -> None:
    bob, ann, cid = await client(api), await client(api, "ann"), await client(api, "cid")
    await api.send("ann", "bob")
    anns, bobs = await ann.with_("bob"), await bob.with_("ann")
    assert anns != bobs
    before = await api.everything()
    for user, id_ in ((cid, anns), (cid, bobs), (bob, anns), (ann, bobs), (bob, "x" * 16)):
        for method in ("GET", "PUT", "DELETE"):
            form = {"is_muted": "true"} if method == "PUT" else None
            refused(await user.call(method, f"conversations/{id_}", form), 404)
        refused(await user.call("GET", "messages", conversation_id=id_), 404)
        refused(await user.call("POST", "messages", {"conversation_id": id_, "message": "x"}), 404)
    assert await api.everything() == before


async def test_deleting_is_ones_own_clean_and_the_peer_keeps_his(api: Api) -> None:
    bob, ann = await client(api), await client(api, "ann")
    await api.send("ann", "bob", content="one", isEchoToSender=1)
    page = await api.sync()
    await api.ack(page["messages"][-1]["messageId"])
    id_, hers = await bob.with_("ann"), await ann.with_("bob")
    assert await bob.done("DELETE", f"conversations/{id_}") is None
    assert await bob.listed() == []
    assert await api.contents() == []
    # compensation included: a new device gets nothing
    assert await api.given(device="new") == []
    assert await ann.texts(hers) == ["one"]
    [receipt] = (await api.do("channel/message/history/clean/list", userId="bob"))["cleans"]
    assert (receipt["source"], receipt["deleteCompensated"]["value"]) == ("clarity", True)
    assert receipt["undoUntil"] == receipt["acceptedAt"]
    refused(await bob.call("GET", f"conversations/{id_}"), 404)
    api.clock.advance(SECOND)
    await api.send("ann", "bob", content="two")
    assert await bob.listed() == ["ann"]
    assert await bob.texts(id_) == ["two"]


async def test_what_was_missed_is_still_delivered_after_a_delete(api: Api) -> None:
    bob = await client(api)
    await api.send("ann", "bob", content="missed")
    await bob.done("DELETE", f"conversations/{await bob.with_('ann')}")
    assert await api.given() == [("missed", "missed")]
    assert await bob.listed() == []


async def test_listing_messages_opens_a_conversation_and_so_does_reading_it(api: Api) -> None:
    bob = await client(api)
    await api.send("ann", "bob")
    id_ = await bob.with_("ann")
    api.clock.advance(SECOND)
    assert await bob.texts(id_)
    opened = (await bob.done("GET", f"conversations/{id_}"))["last_opened_at"]
    assert opened == api.now_ms // 1000
    api.clock.advance(SECOND)
    await api.do("user/conversation/read", userId="bob", channelType=1, channelId="ann")
    assert (await bob.done("GET", f"conversations/{id_}"))["last_opened_at"] == api.now_ms // 1000


async def test_a_message_is_pinned_and_unpinned(api: Api) -> None:
    bob = await client(api)
    [message] = await api.send("ann", "bob")
    [elsewhere] = await api.send("cid", "bob")
    id_ = await bob.with_("ann")
    assert (await bob.done("PUT", f"conversations/{id_}", {"pinned_message_id": message}))[
        "pinned_message_id"
    ] == message
    for wrong in (elsewhere, "x"):
        refused(await bob.call("PUT", f"conversations/{id_}", {"pinned_message_id": wrong}), 400)
    assert (await bob.done("GET", f"conversations/{id_}"))["pinned_message_id"] == message
    assert (await bob.done("PUT", f"conversations/{id_}", b"pinned_message_id="))["pinned_message_id"] is None


async def test_bodies_of_other_kinds_are_refused(api: Api) -> None:
    bob = await client(api)
    headers = {"Authorization": f"Bearer {bob.token}"}
    for kind, data in (
        ("text/plain", b"contact_id=ann"),
        ("application/json", b"{"),
        ("application/json", b"[]"),
    ):
        answer = await api.request(
            "POST", "/v1/conversations", data=data, headers={**headers, "Content-Type": kind}
        )
        refused(answer, 400)
    refused(await bob.call("POST", "conversations", b"contact_id=%ff"), 400)
    refused(await bob.call("POST", "conversations", b"contact_id=a%00b"), 400, "contact_id")
    refused(await bob.call("POST", "conversations", {"contact_id": "x" * 65}), 400, "contact_id")
    assert await bob.listed() == []
