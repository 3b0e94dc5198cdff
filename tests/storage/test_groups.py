"""Groups: who takes part, what joining and leaving bound, and what a send costs."""

from __future__ import annotations

import pytest

from history import cursors
from history.axis import DAY, SECOND
from history.channels import store as channels_store
from history.channels.model import ChannelType
from history.errors import Conflict, InvalidInput, NotFound
from history.messages import store as messages_store
from tests.factories import NOON, World

MISSED, COMPENSATED = "missed", "compensation"
COUNT = "SELECT member_count FROM channels"


async def test_the_owner_and_the_first_members_read_from_the_start(world: World) -> None:
    """Named twice or as the owner, a user is one member; somebody else reads nothing."""
    g = await world.make_group("bob", "ann", "bob")
    sent = await world.post(g, "ann", echo=True)
    group = await world.membership.group(g)
    assert (group.owner, group.member_count, group.created_at) == ("ann", 2, NOON)
    assert await world.seen(g, "ann") == await world.seen(g, "bob") == [sent]
    assert await world.given("bob") == [(sent, MISSED)]
    assert await world.given("ann") == [(sent, COMPENSATED)]
    assert await world.has_nothing(g, "eve")


async def test_joining_bounds_history_missed_and_compensation(world: World) -> None:
    """The message just before, and the one just after, at once and when received by another device."""
    g = await world.make_group("bob")
    before = await world.post(g)
    await world.membership.join(g, ["cid"])
    after = await world.post(g)
    assert await world.seen(g, "cid") == [after]
    assert await world.given("cid") == [(after, MISSED)]
    await world.ack_in(g, "cid", after)
    assert await world.given("cid", "tablet") == [(after, COMPENSATED)]
    assert await world.seen(g, "bob") == [after, before]
    assert await world.given("bob") == [(before, MISSED), (after, MISSED)]
    assert await world.value("SELECT join_position FROM conversations WHERE user_id = 'cid'") == before + 1


async def test_who_joins_an_empty_group_reads_from_its_first_message(world: World) -> None:
    """There is no position below it."""
    g = await world.make_group()
    await world.membership.join(g, ["cid"])
    sent = await world.post(g)
    assert await world.seen(g, "cid") == [sent]


async def test_joining_while_in_changes_nothing(world: World) -> None:
    """Neither what is read nor when he joined nor the count; the others of the same call do join."""
    g = await world.make_group("bob")
    sent = await world.post(g)
    world.clock.advance(SECOND)
    assert (await world.membership.join(g, ["bob", "cid", "bob"])).member_count == 3
    assert await world.seen(g, "bob") == [sent]
    assert await world.seen(g, "cid") == []
    rows = await world.rows("SELECT user_id, joined_at FROM conversations ORDER BY user_id")
    assert [tuple(row) for row in rows] == [("ann", NOON), ("bob", NOON), ("cid", NOON + SECOND)]


async def test_leaving_ends_everything_at_once(world: World) -> None:
    """History, missed, compensation and cleans; who is not in is passed over."""
    g = await world.make_group("bob")
    sent = await world.post(g)
    await world.ack_in(g, "bob", sent)
    await world.post(g)
    await world.clean_in(g, "bob", sent_at=NOON // 1000)
    await world.membership.leave(g, ["bob", "eve", "bob"])
    page = await world.sync("bob", "tablet")
    assert (page.cleans, page.messages) == ([], [])
    assert await world.seen(g, "bob") == []
    assert await world.value(COUNT) == 1
    await world.membership.leave(g, ["bob"])
    assert await world.value(COUNT) == 1
    assert (await world.delivery.conversations(world.app_key, "bob", cursor=None, most=10))[0] == []


async def test_rejoining_starts_anew(world: World) -> None:
    """Neither what was before he left nor what was sent while he was away comes back."""
    g = await world.make_group("bob")
    await world.post(g)
    await world.membership.leave(g, ["bob"])
    between = await world.post(g)
    assert (await world.membership.join(g, ["bob"])).member_count == 2
    after = await world.post(g)
    assert await world.seen(g, "bob") == [after]
    assert await world.given("bob") == [(after, MISSED)]
    assert await world.seen(g, "bob") != [after, between]
    row = (await world.rows("SELECT left_position, left_at FROM conversations WHERE user_id = 'bob'"))[0]
    assert tuple(row) == (None, None)


async def test_a_group_that_is_not_there_is_not_found_by_anything(world: World) -> None:
    """A sentence with its name; nothing is made."""
    g = world.group("none")
    for call in (
        world.post(g),
        world.membership.join(g, ["bob"]),
        world.membership.leave(g, ["bob"]),
        world.membership.dismiss(g),
        world.membership.group(g),
    ):
        with pytest.raises(NotFound, match="There is no group 'none'"):
            await call
    assert await world.value("SELECT count(*) FROM channels") == 0


async def test_an_id_of_a_group_is_taken_once(world: World) -> None:
    """The second creation changes nothing; another app and another type may have the same id."""
    g = await world.make_group("bob")
    with pytest.raises(Conflict):
        await world.make_group("eve", owner="eve")
    assert await world.seen(g, "eve") == []
    assert (await world.membership.group(g)).owner == "ann"
    await world.make_open("g")
    assert await world.value("SELECT count(*) FROM channels") == 2


async def test_a_group_that_all_have_left_is_reclaimed_whole(world: World) -> None:
    """Missed by one, in the history of another, compensation of a third; the channel beside it stays."""
    g = await world.make_group("bob", "cid")
    sent = [await world.post(g, echo=True) for _ in range(3)]
    await world.ack_in(g, "cid", sent[-1])
    beside = await world.send(echo=True)
    await world.membership.leave(g, ["bob", "ann"])
    assert await world.work() == 0
    await world.membership.leave(g, ["cid"])
    assert await world.work() == 3
    assert await world.stored_in(g) == []
    assert await world.stored() == [beside]


async def test_what_is_sent_to_nobody_goes_within_a_day(world: World) -> None:
    """A group without members, one with its sender alone, and one where the addressed is no member: no event will come."""
    empty, alone, others = (
        await world.make_group(id_="empty"),
        await world.make_group(id_="alone"),
        await world.make_group("bob", id_="others"),
    )
    await world.membership.leave(empty, ["ann"])
    await world.work()
    await world.post(empty, "robot")
    await world.post(alone, "ann")
    await world.post(others, "ann", to=("gone",))
    assert await world.work() == 0
    world.clock.advance(DAY)
    assert await world.work() == 3
    kept = await world.post(alone, "ann", echo=True)
    world.clock.advance(DAY)
    await world.work()
    assert await world.stored_in(alone) == [kept]


async def test_a_member_who_left_holds_nothing_up(world: World) -> None:
    """His unread messages block the floor no more, in the visit that his leaving makes due."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    g = await world.make_group("bob", "cid")
    sent = await world.post(g)
    await world.ack_in(g, "bob", sent)
    await world.clean_in(g, "bob")
    assert await world.work() == 0
    await world.membership.leave(g, ["cid"])
    assert await world.work() == 1


async def test_a_member_who_joined_late_holds_nothing_before_him_up(world: World) -> None:
    """The floor of the older message is his elders' alone."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    g = await world.make_group("bob")
    before = await world.post(g)
    await world.membership.join(g, ["cid"])
    after = await world.post(g)
    await world.ack_in(g, "bob", after)
    await world.clean_in(g, "bob")
    assert await world.work() == 1
    assert before not in await world.stored_in(g)
    assert await world.seen(g, "cid") == [after]


async def test_members_and_groups_are_listed_by_joining_in_both_directions(world: World) -> None:
    """Page by page, each once; who left and what was dismissed is not there."""
    g = await world.make_group("bob", "cid")
    world.clock.advance(SECOND)
    await world.membership.join(g, ["dan", "eve"])
    await world.membership.leave(g, ["cid"])
    for newest_first, wanted in ((False, ["ann", "bob", "dan", "eve"]), (True, ["eve", "dan", "bob", "ann"])):
        found: list[str] = []
        token: str | None = None
        while True:
            group, page, token = await world.membership.members(
                g, page_token=token, newest_first=newest_first, most=3
            )
            found += [member.user_id for member in page]
            assert [member.owner for member in page] == [member.user_id == "ann" for member in page]
            if token is None:
                break
        assert (found, group.member_count) == (wanted, 4)


async def test_the_groups_of_a_user_are_listed_by_joining_in_both_directions(world: World) -> None:
    """Groups alone; not what he left, not what was dismissed."""
    await world.send("bob", "ann")
    for number in range(6):
        world.clock.advance(SECOND)
        await world.make_group("bob", id_=f"g{number}")
    await world.membership.leave(world.group("g4"), ["bob"])
    await world.membership.dismiss(world.group("g5"))
    for newest_first, wanted in ((False, ["g0", "g1", "g2", "g3"]), (True, ["g3", "g2", "g1", "g0"])):
        found: list[str] = []
        token: str | None = None
        while True:
            page, token = await world.membership.joined(
                world.app_key, "bob", page_token=token, newest_first=newest_first, most=3
            )
            found += [joined.group.channel_id for joined in page]
            if token is None:
                break
        assert found == wanted


async def test_a_page_token_that_nobody_was_given_is_refused(world: World) -> None:
    """Before Postgres would have to: tokens are not signed."""
    g = await world.make_group()
    beyond: list[tuple[object, ...]] = [(-1, "u"), (1 << 63, "u"), (1, "\x00"), ("a", "u"), (-(1 << 63), -1)]
    for made_up in beyond:
        token = cursors.pack(made_up)
        with pytest.raises(InvalidInput) as refusal:
            await world.membership.members(g, page_token=token, newest_first=True, most=3)
        assert refusal.value.field == "pageToken"
        with pytest.raises(InvalidInput):
            await world.membership.joined(world.app_key, "ann", page_token=token, newest_first=True, most=3)
        with pytest.raises(InvalidInput) as refusal:
            await world.delivery.conversations(world.app_key, "ann", cursor=token, most=3)
        assert refusal.value.field == "cursor"


async def test_a_send_costs_the_same_in_a_group_of_100000_as_in_one_of_10(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements, one row locked, and no conversation is looked at."""
    groups = [await world.make_group(*(f"u{n}" for n in range(many)), id_=f"g{many}") for many in (9, 99_999)]
    assert (await world.membership.group(groups[1])).member_count == 100_000
    said: list[list[str]] = []
    for module in (messages_store, channels_store):
        text = module.statement

        def spoken(feature: str, name: str, text: object = text) -> str:
            sql: str = text(feature, name)  # type: ignore[operator]
            said[-1].append(sql)
            return sql

        monkeypatch.setattr(module, "statement", spoken)
    for group in groups:
        said.append([])
        await world.post(group)
    assert said[0] == said[1]
    assert said[0]
    assert not any("conversations" in sql for sql in said[0])


# the account and the user --------------------------------------------------------------------------------------------


async def test_an_account_is_no_participant_of_its_channels(world: World) -> None:
    """The user reads, misses, and cleans; the account reads nothing and owes nothing."""
    await world.set(undo_seconds=0, multi_device_sync=False)
    s = world.system("news", "bob")
    assert s.type is ChannelType.SYSTEM
    sent = await world.post(s, "news")
    assert await world.seen(s, "bob") == [sent]
    assert await world.given("bob") == [(sent, MISSED)]
    assert await world.has_nothing(s, "news")
    assert await world.value("SELECT array_agg(user_id) FROM conversations") == ["bob"]
    await world.clean_in(s, "bob")
    assert await world.seen(s, "bob") == []
    assert await world.given("bob") == [(sent, MISSED)]
    assert await world.work() == 0
    await world.ack_in(s, "bob", sent)
    assert await world.work() == 1


async def test_a_system_channel_is_its_ordered_pair(world: World) -> None:
    """The user's own channel as an account is another one."""
    await world.post(world.system("news", "bob"), "news")
    await world.post(world.system("bob", "news"), "bob")
    assert await world.value("SELECT count(*) FROM channels") == 2
    assert len(await world.seen(world.system("news", "bob"), "bob")) == 1


async def test_system_messages_are_compensation_in_the_window(world: World) -> None:
    """As direct ones are."""
    s = world.system()
    sent = await world.post(s, "news")
    await world.ack_in(s, "bob", sent)
    assert await world.given("bob", "tablet") == [(sent, COMPENSATED)]
    await world.clean_in(s, "bob", flag=True)
    assert await world.given("bob", "tablet") == []
