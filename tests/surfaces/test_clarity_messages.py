"""Clarity's messages: a text is a text on every surface, pages, edits, reactions, and what a delete does."""

from __future__ import annotations

import json

import pytest

from history.axis import SECOND
from tests.api.client import Api
from tests.surfaces.clarity import client, refused


async def test_a_message_is_echoed_and_read_as_text_everywhere(api: Api) -> None:
    bob, ann = await client(api), await client(api, "ann")
    id_ = await bob.with_("ann")
    sent = await bob.done("POST", "messages", {"conversation_id": id_, "message": "caf\u00e9 & co"})
    at = api.now_ms // 1000
    assert sent == {
        "id": sent["id"],
        "conversation_id": id_,
        "contact": {
            "id": "bob",
            "username": "bob",
            "phone_number": None,
            "avatar_url": None,
            "last_active_at": None,
            "created_at": None,
        },
        "message": "caf\u00e9 & co",
        "reactions": [],
        "attachments": [],
        "read_at": None,
        "created_at": at,
        "updated_at": at,
    }
    assert await bob.texts(id_) == ["caf\u00e9 & co"]
    hers = await ann.with_("bob")
    assert await ann.texts(hers) == ["caf\u00e9 & co"]
    [stored] = await api.history("ann", "bob")
    assert (stored["messageType"], json.loads(stored["content"])) == (
        "RC:TxtMsg",
        {"content": "caf\u00e9 & co"},
    )
    assert await bob.done("GET", f"messages/{sent['id']}") == sent


async def test_other_types_pass_as_they_are(api: Api) -> None:
    bob = await client(api)
    await api.send("ann", "bob", content='{"x":1}', messageType="app:thing")
    await api.send("ann", "bob", content='{"content":"hi"}')
    assert await bob.texts(await bob.with_("ann")) == ["hi", '{"x":1}']


async def test_a_message_in_a_group(api: Api) -> None:
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    bob, ann = await client(api), await client(api, "ann")
    mine = (await bob.done("POST", "conversations", {"group_id": "g"}))["id"]
    await bob.done("POST", "messages", {"conversation_id": mine, "message": "hello all"})
    hers = (await ann.done("POST", "conversations", {"group_id": "g"}))["id"]
    assert await ann.texts(hers) == ["hello all"]
    assert await api.given("ann") == [('{"content":"hello all"}', "missed")]


async def test_pages_of_messages_go_both_ways(api: Api) -> None:
    bob = await client(api)
    # all in one millisecond: pages are cut between them all the same
    ids = [(await api.send("ann", "bob", content=f"{number}"))[0] for number in range(25)]
    id_ = await bob.with_("ann")
    newest = [f"{number}" for number in range(25)][::-1]
    assert await bob.texts(id_) == newest[:10]
    assert await bob.texts(id_, limit=7, starting_after=ids[15]) == newest[10:17]
    assert await bob.texts(id_, limit=7, ending_before=ids[10]) == newest[7:14]
    page = await bob.done("GET", "messages", conversation_id=id_, limit=15, starting_after=ids[10])
    assert ([item["message"] for item in page["data"]], page["has_more"]) == (newest[15:], False)
    assert (await bob.done("GET", "messages", conversation_id=id_, limit=24))["has_more"]
    assert not (await bob.done("GET", "messages", conversation_id=id_, limit=25))["has_more"]


async def test_cursors_are_messages_of_the_conversation(api: Api) -> None:
    bob = await client(api)
    [elsewhere] = await api.send("cid", "bob")
    id_ = await bob.with_("ann")
    for name in ("starting_after", "ending_before"):
        for value in ("x", elsewhere):
            refused(await bob.call("GET", "messages", conversation_id=id_, **{name: value}), 400, name)


async def test_read_at_is_when_the_reader_opened_it(api: Api) -> None:
    bob = await client(api)
    [message] = await api.send("ann", "bob")
    assert (await bob.done("GET", f"messages/{message}"))["read_at"] is None
    api.clock.advance(5 * SECOND)
    await bob.texts(await bob.with_("ann"))
    assert (await bob.done("GET", f"messages/{message}"))["read_at"] == api.now_ms // 1000


async def test_the_sender_changes_his_text_and_others_do_not(api: Api) -> None:
    bob, ann = await client(api), await client(api, "ann")
    id_ = await bob.with_("ann")
    sent = await bob.done("POST", "messages", {"conversation_id": id_, "message": "one"})
    api.clock.advance(3 * SECOND)
    refused(await ann.call("PUT", f"messages/{sent['id']}", {"message": "hers"}), 403)
    changed = await bob.done("PUT", f"messages/{sent['id']}", {"message": "two"})
    assert changed["message"] == "two"
    assert changed["updated_at"] == changed["created_at"] + 3
    assert await ann.texts(await ann.with_("bob")) == ["two"]


async def test_reactions_and_attachments_come_back(api: Api) -> None:
    bob = await client(api)
    id_ = await bob.with_("ann")
    form = {"conversation_id": id_, "message": "look", "attachments[]": ["a", "b"]}
    sent = await bob.done("POST", "messages", form)
    assert sent["attachments"] == ["a", "b"]
    # as the page's curl writes it
    changed = await bob.done("PUT", f"messages/{sent['id']}", b"reactions[red_angry_face][]=KateMcCallister")
    assert changed["reactions"] == {"red_angry_face": ["KateMcCallister"]}
    assert (changed["attachments"], changed["message"]) == (["a", "b"], "look")
    assert await bob.done("GET", f"messages/{sent['id']}") == changed


async def test_deleting_takes_ones_own_message_from_all_and_anothers_from_oneself(api: Api) -> None:
    bob, ann = await client(api), await client(api, "ann")
    id_, hers = await bob.with_("ann"), await ann.with_("bob")
    mine = await bob.done("POST", "messages", {"conversation_id": id_, "message": "mine"})
    her = await ann.done("POST", "messages", {"conversation_id": hers, "message": "hers"})
    stays = await ann.done("POST", "messages", {"conversation_id": hers, "message": "stays"})
    assert await bob.done("DELETE", f"messages/{mine['id']}") is None
    assert await bob.done("DELETE", f"messages/{her['id']}") is None
    assert await bob.texts(id_) == ["stays"]
    assert await ann.texts(hers) == ["stays", "hers"]
    for id_ in (mine["id"], her["id"]):
        refused(await bob.call("GET", f"messages/{id_}"), 404)
    assert stays["id"]


async def test_messages_of_others_are_not_there(api: Api) -> None:
    eve = await client(api, "eve")
    [message] = await api.send("ann", "bob")
    before = await api.everything()
    for id_ in (message, "x"):
        for method, form in (("GET", None), ("PUT", {"message": "x"}), ("DELETE", None)):
            refused(await eve.call(method, f"messages/{id_}", form), 404)
    assert await api.everything() == before


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"message": "x"}, "conversation_id"),
        ({"conversation_id": "x"}, "message"),
        ({"conversation_id": "x", "message": ""}, "message"),
        ({"conversation_id": "x", "message": "a\0b"}, "message"),
    ],
)
async def test_what_a_message_needs(api: Api, form: dict[str, str], word: str) -> None:
    bob = await client(api)
    if "conversation_id" in form:
        form = {**form, "conversation_id": await bob.with_("ann")}
    before = await api.everything()
    refused(await bob.call("POST", "messages", form), 400, word)
    assert await api.everything() == before


async def test_a_message_may_not_be_larger_than_the_app_allows(api: Api) -> None:
    await api.set(maxContentBytes=64)
    bob = await client(api)
    id_ = await bob.with_("ann")
    refused(await bob.call("POST", "messages", {"conversation_id": id_, "message": "x" * 64}), 400, "64")


async def test_system_channels_are_listed_and_take_no_answer(api: Api) -> None:
    bob = await client(api)
    text = {"fromUserId": "news", "messageType": "RC:TxtMsg", "content": "hello"}
    await api.do("system-channel/message/send", toUserIds=["bob"], **text)
    [conversation] = (await bob.done("GET", "conversations"))["data"]
    assert conversation["contact_id"] == "news"
    assert await bob.texts(conversation["id"]) == ["hello"]
    form = {"conversation_id": conversation["id"], "message": "x"}
    refused(await bob.call("POST", "messages", form), 400, "conversation_id")
