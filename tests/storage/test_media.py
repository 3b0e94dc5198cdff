"""When a file goes and when it stays; who may read it; what a message may refer to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from history.axis import DAY, SECOND
from history.cursors import media_id
from history.errors import Conflict, InvalidInput, NotFound, TooLong
from history.media.model import Kept, Media
from tests.factories import ALWAYS, NOON, World

HOUR = 3_600 * SECOND


def says(*files: Media) -> str:
    """Content that refers to files."""
    return '{"content":"look: ' + " ".join(f"media:[{file.public_id}]" for file in files) + '"}'


async def send(world: World, *files: Media, at: int | None = None, echo: bool = True) -> int:
    """ann sends bob a message that refers to files, and he receives it."""
    position = await world.send(content=says(*files), echo=echo, at=at)
    await world.ack("bob", "ann", position)
    return position


async def clean(world: World, user: str, *, media: bool, undo: int = 0) -> None:
    """Clean the direct channel of ann and bob, flag and all."""
    await world.clean_in(world.channel(), user, flag=True, undo=undo, media=media)


async def kept(world: World) -> list[list[Kept]]:
    """What the list of kept files says."""
    page, cursor = await world.files.list(world.app_key, kept=True, cursor=None, most=10)
    assert cursor is None
    return [listed.kept for listed in page]


# what a message may refer to


async def test_a_message_refers_to_what_its_content_says_and_to_nothing_else(world: World) -> None:
    one, two = await world.upload(), await world.upload("ann", b"sound", type_="audio/ogg")
    position = await world.send(content=says(one, two, one) + " media:[none] media: " + two.public_id)
    await world.send(content="nothing")
    rows = await world.rows("SELECT position, media_id, sender, app_key FROM media_refs ORDER BY media_id")
    assert [tuple(row) for row in rows] == [
        (position, id_, "ann", world.app_key) for id_ in sorted([one.id, two.id])
    ]


async def test_every_copy_of_a_message_refers(world: World) -> None:
    file = await world.upload()
    await world.messages.send(world.draft("ann", "bob", "cid", content=says(file)))
    assert await world.value("SELECT count(DISTINCT channel_id) FROM media_refs") == 2


async def test_a_file_that_is_not_there_is_refused_and_nothing_is_sent(world: World) -> None:
    """One that never was, one of another app, one that is not whole yet, one that goes."""
    other = await world.apps.create("other")
    foreign, unfinished, going = await world.upload(), await world.upload(), await world.upload()
    await world.execute("UPDATE media SET app_key = $2 WHERE id = $1", foreign.id, other.app_key)
    await world.execute("UPDATE media SET state = 'uploading' WHERE id = $1", unfinished.id)
    await world.execute("UPDATE media SET state = 'deleting' WHERE id = $1", going.id)
    wrong = [media_id(uuid4().bytes), *(file.public_id for file in (foreign, unfinished, going))]
    for id_ in wrong:
        for key in (None, "client key"):
            with pytest.raises(InvalidInput, match="not there") as refused:
                await world.post(world.channel(), content=f"media:[{id_}]", client_key=key)
            assert refused.value.field == "content"
    assert await world.value("SELECT count(*) FROM messages") == 0
    assert await world.value("SELECT count(*) FROM media_refs") == 0
    assert await world.value("SELECT count(*) FROM message_keys") == 0


async def test_a_message_refers_to_a_hundred_files_and_no_more(world: World) -> None:
    ids = [media_id(uuid4().bytes) for _ in range(101)]
    with pytest.raises(InvalidInput, match="more than 100"):
        await world.send(content=" ".join(f"media:[{id_}]" for id_ in ids))


async def test_the_same_message_again_is_answered_though_its_file_is_gone(world: World) -> None:
    file = await world.upload()
    sent = await world.post(world.channel(), content=says(file), client_key="k")
    await world.recall(world.channel(), sent)
    await world.work()
    assert not await world.there(file)
    assert await world.post(world.channel(), content=says(file), client_key="k") == sent


# when a file goes


@pytest.mark.parametrize(("ann", "bob"), [(True, True), (True, False), (False, True), (False, False)])
async def test_a_file_goes_when_its_message_did_and_everybody_gave_it_up(
    world: World, ann: bool, bob: bool
) -> None:
    """Not before the last clean is settled; and it stays, with who kept it, where somebody did."""
    file, other = await world.upload(), await world.upload()
    sent = await send(world, file)
    await clean(world, "ann", media=ann)
    await world.work()
    assert await world.stored() == [sent]
    assert await world.there(file)
    await clean(world, "bob", media=bob, undo=60)
    later = await send(world, other, at=NOON + SECOND)
    await world.work()
    assert await world.there(file), "an undo may still bring it back"
    world.clock.set(NOON + 100 * SECOND)
    await world.work()
    assert await world.stored() == [later]
    assert await world.there(file) is not (ann and bob)
    assert await world.there(other)
    keepers = {one.user_id for ones in await kept(world) for one in ones}
    if ann and bob:
        assert keepers == set()
        assert await world.value("SELECT count(*) FROM media_refs") == 1
    else:
        assert keepers == ({"ann"} if bob else {"bob"} if ann else keepers & {"ann", "bob"})
        assert len(keepers) == 1


async def test_who_kept_a_file_may_give_it_up_later(world: World) -> None:
    file = await world.upload()
    await send(world, file)
    await clean(world, "ann", media=False)
    await clean(world, "bob", media=True)
    await world.work()
    assert (await world.stored(), await world.there(file)) == ([], True)
    [[why]] = await kept(world)
    assert (why.user_id, why.sent_at) == ("ann", NOON)
    assert why.reason == "ann has cleaned the channel without deleteMedia."
    world.clock.advance(SECOND)
    await clean(world, "ann", media=True, undo=60)
    await world.work()
    await world.execute("UPDATE channels SET next_reclaim_at = 0")
    await world.work()
    assert await world.there(file), "an undo may still keep it"
    world.clock.advance(60 * SECOND)
    await world.work()
    assert not await world.there(file)
    assert await kept(world) == []


async def test_an_undone_clean_gives_up_nothing(world: World) -> None:
    """The mark is what the others make it: kind by kind."""
    file = await world.upload()
    await send(world, file)
    first = await world.clean_in(world.channel(), "bob", flag=True, undo=60, media=True)
    await world.clean_in(world.channel(), "bob", flag=True, undo=60)
    await world.apply()
    marks = "SELECT history_cutoff, sync_cutoff, media_cutoff, settled_media_cutoff FROM conversations WHERE user_id = 'bob'"
    assert [tuple(row) for row in await world.rows(marks)] == [(NOON + 1, NOON + 1, NOON + 1, 0)]
    await world.cancel(first)
    assert [tuple(row) for row in await world.rows(marks)] == [(NOON + 1, NOON + 1, 0, 0)]
    await clean(world, "ann", media=True)
    world.clock.advance(DAY)
    await world.work()
    assert await world.stored() == []
    assert await world.there(file)
    assert [why.user_id for [why] in await kept(world)] == ["bob"]


async def test_everyones_clean_gives_the_files_up_for_all(world: World) -> None:
    file, stays = await world.upload(), await world.upload()
    await send(world, file)
    await world.clean_in(world.channel(), flag=True, undo=0, media=True)
    await send(world, stays, at=NOON + SECOND)
    await world.work()
    assert (await world.there(file), await world.there(stays)) == (False, True)


async def test_only_those_for_whom_a_message_was_can_keep_its_file(world: World) -> None:
    """Not the sender without an echo, nor who was not addressed, who joined later, who left, or who deleted it by its id."""
    key = await world.make_group("bob", "cid", "dan", "eve")
    file = await world.upload()
    sent = await world.post(key, content=says(file), to=("bob", "dan", "eve"))
    await world.membership.join(key, ["zoe"])
    await world.hide(key, "eve", sent)
    for user in ("bob", "dan", "eve"):
        await world.ack_in(key, user, sent)
    await world.clean_in(key, "bob", flag=True, undo=0, media=True)
    await world.clean_in(key, "dan", flag=True, undo=0)
    await world.work()
    assert await world.stored_in(key) == []
    assert [[why.user_id for why in one] for one in await kept(world)] == [["dan"]]
    await world.membership.leave(key, ["dan"])
    await world.work()
    assert not await world.there(file)


@pytest.mark.parametrize("how", ["policy", "dismissed", "destroyed", "expired", "all left"])
async def test_what_ends_without_a_clean_takes_its_files(world: World, how: str) -> None:
    file = await world.upload()
    key = (
        await world.make_open(ttl=60, from_last_message=False)
        if how in ("destroyed", "expired")
        else await world.make_group("bob")
    )
    sent = await world.post(key, content=says(file))
    if key.type == 3:
        await world.ack_in(key, "bob", sent)
    await world.set(multi_device_sync=False)
    await world.work()
    assert await world.there(file)
    if how == "policy":
        await world.execute("UPDATE apps SET retention_days = 1, mark_due_after = -1")
        world.clock.advance(DAY + 1)
    elif how == "dismissed":
        await world.membership.dismiss(key)
    elif how == "destroyed":
        await world.membership.destroy_open([key])
    elif how == "expired":
        await world.work()
        world.clock.advance(HOUR)
    else:
        await world.membership.leave(key, ["ann", "bob"])
    world.clock.advance(8 * DAY)
    await world.work()
    assert await world.stored_in(key) == []
    assert not await world.there(file)
    assert await world.value("SELECT count(*) FROM media_refs") == 0


async def test_a_policy_lets_go_of_what_somebody_keeps_when_its_time_has_come(world: World) -> None:
    """By time alone: nothing marks the channel."""
    await world.execute("UPDATE apps SET retention_days = 3")
    file = await world.upload()
    await send(world, file)
    await clean(world, "ann", media=False)
    await clean(world, "bob", media=True)
    await world.work()
    assert (await world.stored(), await world.there(file)) == ([], True)
    world.clock.set(NOON + 3 * DAY)
    await world.work()
    assert await world.there(file)
    world.clock.set(NOON + 3 * DAY + 1)
    await world.work()
    assert not await world.there(file)


async def test_a_recall_takes_the_file_at_once_and_under_a_hold_when_it_is_released(world: World) -> None:
    free, held = await world.upload(), await world.upload()
    one, two = await send(world, free), await send(world, held)
    await world.recall(world.channel(), one)
    hold = await world.policies.place_hold(world.app_key, channel=world.channel(), user_id=None, reason="x")
    await world.recall(world.channel(), two)
    world.clock.advance(30 * DAY)
    await world.work()
    assert (await world.there(free), await world.there(held)) == (False, True)
    with pytest.raises(Conflict, match="hold"):
        await world.files.remove(world.app_key, held.public_id)
    await world.policies.release_hold(world.app_key, hold.id)
    await world.work()
    assert not await world.there(held)


async def test_a_hold_keeps_what_was_kept_and_an_apps_hold_what_nothing_refers_to(world: World) -> None:
    file, unused = await world.upload(), await world.upload()
    await send(world, file)
    await clean(world, "ann", media=False)
    await clean(world, "bob", media=True)
    await world.work()
    channel = await world.policies.place_hold(
        world.app_key, channel=world.channel(), user_id=None, reason="x"
    )
    app = await world.policies.place_hold(world.app_key, channel=None, user_id=None, reason="x")
    await clean(world, "ann", media=True)
    world.clock.advance(2 * DAY)
    await world.work()
    assert (await world.there(file), await world.there(unused)) == (True, True)
    for one in (file, unused):
        with pytest.raises(Conflict, match="hold"):
            await world.files.remove(world.app_key, one.public_id)
    await world.policies.release_hold(world.app_key, app.id)
    await world.work()
    assert (await world.there(file), await world.there(unused)) == (True, False)
    await world.policies.release_hold(world.app_key, channel.id)
    await world.work()
    assert not await world.there(file)


async def test_a_file_of_two_messages_stays_until_neither_needs_it(world: World) -> None:
    file = await world.upload()
    await send(world, file)
    other = await world.send("ann", "cid", content=says(file), at=NOON + SECOND)
    for user in ("ann", "bob"):
        await clean(world, user, media=True)
    await world.work()
    assert (await world.stored(), await world.there(file)) == ([], True)
    assert await world.value("SELECT count(*) FROM media_refs") == 1, "what is gone is forgotten"
    await world.recall(world.channel("ann", "cid"), other)
    await world.work()
    assert not await world.there(file)


async def test_an_edit_refers_anew(world: World) -> None:
    before, after = await world.upload(), await world.upload()
    sent = await send(world, before)
    text = (await world.messages.history(world.channel(), "bob", ALWAYS, most=1))[0].id
    with pytest.raises(InvalidInput, match="not there"):
        await world.messages.edit(
            world.channel(), text, sender="ann", content=f"media:[{media_id(uuid4().bytes)}]"
        )
    await world.messages.edit(world.channel(), text, sender="ann", metadata="{}")
    assert [row["media_id"] for row in await world.rows("SELECT * FROM media_refs")] == [before.id]
    await world.messages.edit(world.channel(), text, sender="ann", content=says(after))
    await world.work()
    assert (await world.there(before), await world.there(after)) == (False, True)
    assert [row["position"] for row in await world.rows("SELECT * FROM media_refs")] == [sent]
    await world.messages.edit(world.channel(), text, sender="ann", content="nothing")
    await world.work()
    assert not await world.there(after)


async def test_an_upload_that_no_message_refers_to_goes_after_its_hours(world: World) -> None:
    file, used = await world.upload(), await world.upload()
    await send(world, used)
    world.clock.set(NOON + 24 * HOUR - 1)
    await world.work()
    assert await world.there(file)
    world.clock.set(NOON + 24 * HOUR)
    await world.work()
    assert (await world.there(file), await world.there(used)) == (False, True)


# who may read


async def test_who_sees_a_message_reads_its_file_and_nobody_else(world: World) -> None:
    file = await world.upload()
    assert [await world.readable(file, user) for user in ("ann", "bob", None)] == [True, False, True]
    sent = await world.send(content=says(file))
    readers = [await world.readable(file, user) for user in ("ann", "bob", "cid", None)]
    assert readers == [False, True, False, True], "the sender without an echo does not see his message either"
    await world.clean_in(world.channel(), "bob", flag=True, undo=0)
    assert await world.readable(file, "bob"), "it is missed: he will be given it"
    await world.ack("bob", "ann", sent)
    assert not await world.readable(file, "bob")


async def test_a_device_that_has_nothing_reads_what_it_is_compensated_with(world: World) -> None:
    file = await world.upload()
    await send(world, file)
    await world.clean_in(world.channel(), "bob", flag=False, undo=0)
    assert await world.seen(world.channel(), "bob") == []
    assert await world.readable(file, "bob")
    await world.clean_in(world.channel(), "bob", flag=True, undo=0)
    assert not await world.readable(file, "bob")


async def test_in_open_channels_and_groups_the_history_rule_says_who_reads(world: World) -> None:
    in_open, in_group = await world.upload(), await world.upload()
    await world.post(await world.make_open(), content=says(in_open))
    group = await world.make_group("bob")
    await world.post(group, content=says(in_group))
    await world.membership.join(group, ["zoe"])
    assert [await world.readable(in_open, user) for user in ("zoe", "nobody")] == [True] * 2
    assert [await world.readable(in_group, user) for user in ("bob", "zoe", "nobody")] == [True, False, False]
    await world.membership.leave(group, ["bob"])
    assert not await world.readable(in_group, "bob")


async def test_a_kept_file_is_read_by_the_backend_alone(world: World) -> None:
    file = await world.upload()
    await send(world, file)
    await clean(world, "ann", media=False)
    await clean(world, "bob", media=True)
    await world.work()
    assert [await world.readable(file, user) for user in ("ann", "bob", None)] == [False, False, True]


# lists and removal


async def test_an_admin_removes_what_somebody_kept_and_nothing_that_a_message_needs(world: World) -> None:
    file, used = await world.upload(), await world.upload()
    await send(world, file)
    await clean(world, "ann", media=False)
    await clean(world, "bob", media=True)
    sent = await send(world, used, at=NOON + SECOND)
    await world.work()
    with pytest.raises(Conflict, match="recall it first"):
        await world.files.remove(world.app_key, used.public_id)
    other = await world.apps.create("other")
    for app_key, id_ in ((other.app_key, file.public_id), (world.app_key, "x")):
        with pytest.raises(NotFound):
            await world.files.remove(app_key, id_)
    await world.files.remove(world.app_key, file.public_id)
    assert (await world.there(file), await world.there(used)) == (False, True)
    with pytest.raises(NotFound):
        await world.files.remove(world.app_key, file.public_id)
    assert await world.stored() == [sent]


async def test_lists_are_paged_and_of_one_app(world: World) -> None:
    files = [await world.upload() for _ in range(5)]
    other = await world.apps.create("other")
    await world.execute("UPDATE media SET app_key = $2 WHERE id = $1", files.pop().id, other.app_key)
    seen, cursor = list[str](), None
    while True:
        page, cursor = await world.files.list(world.app_key, kept=False, cursor=cursor, most=3)
        seen += [listed.media.public_id for listed in page]
        if cursor is None:
            break
    assert sorted(seen) == sorted(file.public_id for file in files)
    with pytest.raises(InvalidInput, match="cursor"):
        await world.files.list(world.app_key, kept=False, cursor="x", most=3)


# receipts


async def test_a_receipt_counts_the_files_that_went_with_it(world: World) -> None:
    one, two = await world.upload(data=b"12345"), await world.upload(data=b"123")
    await send(world, one)
    ann = await world.clean_in(world.channel(), "ann", flag=True, undo=0, media=True)
    assert (await world.receipt(ann)).reclaimed_files is None
    await send(world, two, at=NOON + SECOND)
    again = await world.clean_in(world.channel(), "ann", flag=True, undo=0, media=True)
    bob = await world.clean_in(world.channel(), "bob", flag=True, undo=0, media=True)
    kept_ = await world.clean_in(world.channel(), "bob", flag=True, undo=0)
    await world.apply()
    await world.count()
    assert [await _files(world, request) for request in (ann, again, bob, kept_)] == [(0, 0)] * 4
    await world.work()
    assert [await _files(world, request) for request in (ann, again, bob, kept_)] == [
        (1, 5),
        (1, 3),
        (2, 8),
        (0, 0),
    ]


async def _files(world: World, accepted: object) -> tuple[int | None, int | None]:
    receipt = await world.receipt(accepted)  # type: ignore[arg-type]
    return receipt.reclaimed_files, receipt.reclaimed_bytes


# uploads


async def test_what_is_too_large_empty_or_of_another_type_leaves_nothing(world: World) -> None:
    await world.set(media_max_bytes=10, media_types="image/*, text/plain")
    world.apps._cached.clear()
    assert (await world.upload(data=b"x" * 10)).size == 10
    with pytest.raises(TooLong):
        await world.upload(data=b"x" * 11)
    with pytest.raises(InvalidInput, match="empty"):
        await world.upload(data=b"")
    for type_ in ("text/html", "imagex/png", "image", "", "a/b/c"):
        with pytest.raises(InvalidInput, match="mediaTypes"):
            await world.upload(type_=type_)
    assert (await world.upload(type_="Text/Plain; charset=utf-8", data=b"x")).type == "text/plain"
    assert await world.value("SELECT count(*) FROM media") == 2


@pytest.mark.parametrize("text", ["", "image", "*/png", "image/png;q=1", "image/png,,x/y", "a b/c"])
async def test_types_that_are_none_are_refused(world: World, text: str) -> None:
    with pytest.raises(InvalidInput, match="mediaTypes"):
        await world.set(media_types=text)


async def test_a_caller_who_goes_away_leaves_nothing(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionResetError

    app = await world.apps.find(world.app_key)
    with pytest.raises(ConnectionResetError):
        await world.files.upload(app, chunks(), type_="image/png", size=None, user="ann")
    assert await world.value("SELECT count(*) FROM media") == 0
