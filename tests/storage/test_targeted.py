"""Messages for some members of a group alone, and messages that are not stored for history."""

from __future__ import annotations

from history.axis import DAY
from history.messages.model import Draft, Flags
from tests.factories import ALWAYS, NOON, World

MISSED, COMPENSATED = "missed", "compensation"
MIDNIGHT = NOON + DAY // 2


async def test_a_targeted_message_is_its_recipients_and_its_echoing_senders(world: World) -> None:
    """History, missed and compensation; for the others it is not there, though they take part."""
    g = await world.make_group("bob", "cid")
    sent = await world.post(g, "ann", to=("bob",), echo=True)
    assert await world.seen(g, "bob") == await world.seen(g, "ann") == [sent]
    assert await world.given("bob") == [(sent, MISSED)]
    assert await world.given("ann") == [(sent, COMPENSATED)]
    await world.ack_in(g, "bob", sent)
    assert await world.given("bob", "tablet") == [(sent, COMPENSATED)]
    assert await world.has_nothing(g, "cid")


async def test_a_targeted_message_that_is_not_echoed_is_not_the_senders(world: World) -> None:
    """Not even where he is named as a recipient."""
    g = await world.make_group("bob")
    sent = await world.post(g, "ann", to=("bob", "ann"))
    assert await world.has_nothing(g, "ann")
    assert await world.seen(g, "bob") == [sent]


async def test_a_recipient_who_is_no_member_is_given_nothing(world: World) -> None:
    """Nor is he after joining: he reads from there on."""
    g = await world.make_group("bob")
    await world.post(g, "ann", to=("cid",))
    assert await world.has_nothing(g, "cid")
    await world.membership.join(g, ["cid"])
    assert await world.has_nothing(g, "cid")


async def test_a_targeted_message_is_held_by_its_recipients_alone(world: World) -> None:
    """By the history of each, by what each misses; the other member's marks block nothing."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    g = await world.make_group("bob", "cid", "dan")
    sent = await world.post(g, "ann", to=("bob", "cid"))
    for user in ("bob", "cid"):
        assert await world.work() == 0
        await world.clean_in(g, user)
        assert await world.work() == 0
        await world.ack_in(g, user, sent)
    assert await world.work() == 1
    assert await world.stored_in(g) == []


async def test_a_targeted_message_in_the_window_is_held_for_the_devices_of_its_recipients(
    world: World,
) -> None:
    """And for its sender's where it was echoed, until each cleaned with the flag."""
    await world.set(undo_seconds=0)
    g = await world.make_group("bob", "cid")
    sent = await world.post(g, "ann", to=("bob",), echo=True)
    await world.ack_in(g, "bob", sent)
    for user in ("ann", "bob"):
        await world.clean_in(g, user, flag=True)
        assert await world.work() == (1 if user == "bob" else 0)


async def test_an_unpersisted_group_message_is_given_but_never_history(world: World) -> None:
    """To each member, then to his other devices; it goes when it is neither missed nor in the window."""
    g = await world.make_group("bob", "cid")
    sent = await world.post(g, persist=False)
    kept = await world.post(g)
    assert await world.seen(g, "bob") == [kept]
    await world.ack_in(g, "bob", kept)
    assert await world.given("bob", "tablet") == [(sent, COMPENSATED), (kept, COMPENSATED)]
    assert await world.given("cid") == [(sent, MISSED), (kept, MISSED)]
    world.clock.set(MIDNIGHT)
    assert await world.work() == 0
    await world.ack_in(g, "cid", kept)
    assert await world.work() == 1
    assert await world.stored_in(g) == [kept]


async def test_an_unpersisted_message_of_an_account_goes_with_its_receipt(world: World) -> None:
    """The channel waits for it, so the acknowledgement makes it due."""
    await world.set(multi_device_sync=False)
    await world.work()
    s = world.system()
    sent = await world.post(s, "news", persist=False)
    assert await world.work() == 0
    await world.ack_in(s, "bob", sent)
    assert await world.work() == 1


async def test_an_unpersisted_message_of_an_open_channel_is_nobodys(world: World) -> None:
    """There is neither missed nor compensation: it goes at the first look, which is within a day."""
    o = await world.make_open()
    await world.post(o, persist=False)
    assert await world.has_nothing(o, "bob")
    world.clock.advance(DAY)
    assert await world.work() == 1


async def test_metadata_is_kept_and_given_back_as_it_was(world: World) -> None:
    """In history, in a sync and in the list of conversations; and that it may carry some is kept apart from it."""
    g = await world.make_group("bob")
    texts = ('{"a":"1","ü":"\\u2028 \\"x\\""}', None)
    flags = Flags.PERSISTED | Flags.METADATA
    for text in texts:
        await world.messages.send(
            Draft(channels=(g,), sender="ann", type="text", content="c", flags=flags, metadata=text)
        )
    await world.post(g)
    page = await world.messages.history(g, "bob", ALWAYS, most=10)
    found = [(one.metadata, bool(one.flags & Flags.METADATA)) for one in page]
    assert found == [(None, False), (None, True), (texts[0], True)]
    given = [one.message.metadata for one in (await world.sync("bob")).messages]
    assert given == [texts[0], None, None]
    await world.messages.send(
        Draft(channels=(g,), sender="ann", type="t", content="c", flags=flags, metadata=texts[0])
    )
    (shown,), _ = await world.delivery.conversations(world.app_key, "bob", cursor=None, most=1)
    assert shown.last_message is not None
    assert shown.last_message.metadata == texts[0]
