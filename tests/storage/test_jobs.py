"""Cleans of whole users and recalls by sender: in steps, resumed after a crash without repetition or loss."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from history.axis import NEVER, SECOND
from history.channels.model import ChannelKey
from history.errors import Conflict, DatabaseUnavailable, NotFound
from history.jobs import service, store
from history.jobs.model import Job, read_public_id
from history.jobs.service import LEASE
from history.retention import store as retention_store
from tests.factories import NOON, World
from tests.storage.test_races import append, held

OTHERS = ("ann", "cid", "dan", "eve", "fay")


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two channels and two messages a step."""
    monkeypatch.setattr(service, "CHANNELS_A_STEP", 2)
    monkeypatch.setattr(service, "MESSAGES_A_STEP", 2)


async def clean_user(
    world: World,
    user: str = "bob",
    *,
    before: int = NEVER,
    flag: bool | None = None,
    undo: int | None = None,
    media: bool = False,
) -> UUID:
    """Start a clean of all channels of a user."""
    text = await world.jobs.clean_user(
        world.app_key,
        user,
        before=before,
        flag=flag,
        delete_media=media,
        undo_seconds=undo,
        reason="leaves",
        source="test",
    )
    id_ = read_public_id(text)
    assert id_ is not None
    return id_


async def recall_by_sender(world: World, key: ChannelKey, *senders: str, before: int = NEVER) -> UUID:
    world.clock.advance(1_000)
    text = await world.jobs.recall_by_sender(key, senders, before=before, reason=None, source="test")
    id_ = read_public_id(text)
    assert id_ is not None
    return id_


async def step(world: World) -> int:
    """One step, and the clock goes as far as the cleans that it accepted."""
    steps = await world.jobs.work()
    world.catch_up()
    return steps


async def to_the_end(world: World) -> None:
    while await step(world):
        pass


async def job_of(world: World, id_: UUID) -> Job:
    return await world.jobs.get(world.app_key, id_)


async def histories(world: World, user: str = "bob") -> list[int]:
    return [len(await world.history(user, other)) for other in OTHERS]


async def five(world: World) -> None:
    """A conversation of bob with each of the others, each with two messages."""
    for other in OTHERS:
        for _ in range(2):
            await world.send(other, "bob", echo=True)


@pytest.mark.parametrize("media", [True, False])
async def test_a_clean_of_all_channels_gives_up_the_files_where_it_says_so(world: World, media: bool) -> None:
    await world.send("ann", "bob")
    id_ = await clean_user(world, media=media)
    assert (await job_of(world, id_)).delete_media is media
    assert await step(world) == 1
    assert [row["delete_media"] for row in await world.rows("SELECT delete_media FROM clean_requests")] == [
        media
    ]


async def test_a_clean_of_a_user_takes_every_channel_of_his_in_steps(world: World) -> None:
    """Direct, group and system; nobody else's history; done, total, rate and time left tell how far it is."""
    await five(world)
    g = await world.make_group("bob")
    await world.post(g)
    await world.post(world.system())
    id_ = await clean_user(world)
    job = await job_of(world, id_)
    assert (job.kind, job.state, job.done, job.total, job.finished_at) == (
        "clean-user",
        "running",
        0,
        7,
        None,
    )
    assert job.seconds_left(world.clock.now()) is None
    for done in (2, 4, 6):
        assert await step(world) == 1
        job = await job_of(world, id_)
        assert (job.state, job.done) == ("running", done)
    later = job.created_at + 3 * SECOND
    assert (job.rate(later), job.seconds_left(later)) == (2.0, 0)
    assert await step(world) == 1
    job = await job_of(world, id_)
    assert (job.state, job.done, job.total, job.seconds_left(later)) == ("done", 7, 7, 0)
    assert await step(world) == 0
    assert await histories(world) == [0] * 5
    assert await world.seen(g, "bob") == await world.seen(world.system(), "bob") == []
    assert len(await world.seen(g, "ann")) == 0
    for other in OTHERS:
        assert len(await world.history(other, "bob")) == 2
    rows = await world.rows("SELECT DISTINCT job_id, user_id, reason, source FROM clean_requests")
    assert [tuple(row) for row in rows] == [(id_, "bob", "leaves", "test")]


async def test_an_end_on_a_full_step_is_an_end(world: World) -> None:
    """Four channels, two a step; and a user who has none."""
    for other in OTHERS[:4]:
        await world.send(other, "bob")
    ids = [await clean_user(world), await clean_user(world, "nobody")]
    await to_the_end(world)
    assert [((await job_of(world, id_)).state, (await job_of(world, id_)).done) for id_ in ids] == [
        ("done", 4),
        ("done", 0),
    ]


async def test_what_is_sent_after_acceptance_survives_whenever_its_turn_comes(world: World) -> None:
    """In a channel that was cleaned already, in one that was not, in a new one."""
    await five(world)
    await clean_user(world)
    sent = [await world.send(other, "bob") for other in OTHERS]
    await step(world)
    sent += [await world.send(other, "bob") for other in (*OTHERS, "new")]
    await to_the_end(world)
    assert await histories(world) == [2] * 5
    assert len(await world.history("bob", "new")) == 1
    await world.apply()
    assert await histories(world) == [2] * 5
    assert len(sent) == 11


@pytest.mark.parametrize("off", [-3 * SECOND, 0, 3 * SECOND])
async def test_no_clock_decides_what_was_sent_before_it(world: World, off: int) -> None:
    """Positions run ahead of the instant where many are sent in it; the process that is asked may be behind, or ahead."""
    for other in OTHERS[:3]:
        for _ in range(3):
            await world.send(other, "bob")
    world.clock.set(NOON + off)
    await clean_user(world)
    world.clock.set(NOON)
    kept = [await world.send(other, "bob") for other in OTHERS[:3]]
    await to_the_end(world)
    await world.apply()
    assert [await world.history("bob", other) for other in OTHERS[:3]] == [[at] for at in kept]


async def test_a_send_that_commits_after_it_survives_whatever_its_position(world: World) -> None:
    """It had its position before the call was accepted, and is committed after it, before the channel's turn."""
    await world.send()
    async with held(world) as connection:
        late = await append(connection, world)
        world.clock.advance(SECOND)
        await clean_user(world)
    await to_the_end(world)
    assert await world.history("bob", "ann") == [late]


async def test_its_steps_are_the_channels_of_its_acceptance(world: World) -> None:
    """One that he left since is cleaned as well; one that he came to has nothing to clean; no step is left in the end."""
    await five(world)
    g = await world.make_group("bob")
    await world.post(g)
    id_ = await clean_user(world)
    await world.membership.leave(g, ["bob"])
    new = await world.send("new", "bob")
    assert await world.value("SELECT array_agg(cardinality(channel_ids)) FROM job_steps") == [2, 2, 2]
    await to_the_end(world)
    found = await job_of(world, id_)
    assert (found.state, found.done, found.total) == ("done", 6, 6)
    assert await world.history("bob", "new") == [new]
    assert await world.value("SELECT count(*) FROM job_steps") == 0


async def test_it_takes_what_the_request_says(world: World) -> None:
    """Only before an instant, with the flag and an undo window of its own."""
    for at in (NOON, NOON + SECOND):
        for other in OTHERS:
            await world.send(other, "bob", at=at)
    await clean_user(world, before=NOON + SECOND, flag=True, undo=7)
    await to_the_end(world)
    assert await histories(world) == [1] * 5
    sql = "SELECT DISTINCT delete_compensated, delete_compensated_from, undo_until - accepted_at FROM clean_requests"
    assert [tuple(row) for row in await world.rows(sql)] == [(True, "request", 7 * SECOND)]


@pytest.mark.parametrize("statement", ["delete_next_step", "insert_clean_requests", "update_job"])
async def test_a_crash_between_or_in_steps_repeats_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """The worker dies in the second step; another one goes on when the lease has ended."""
    await five(world)
    id_ = await clean_user(world)
    await step(world)

    async def dies(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store if hasattr(store, statement) else retention_store, statement, dies)
        with pytest.raises(DatabaseUnavailable):
            await world.jobs.work()
    assert (await job_of(world, id_)).done == 2
    async with world.twin() as twin:
        assert await twin.jobs.work() == 0, "its lease is not over"
        world.clock.advance(LEASE)
        while await twin.jobs.work():
            pass
    assert (await job_of(world, id_)).done == 5
    rows = await world.rows("SELECT count(*) AS n FROM clean_requests GROUP BY channel_id")
    assert [row["n"] for row in rows] == [1] * 5
    assert await histories(world) == [0] * 5


async def test_two_workers_take_no_step_twice(world: World) -> None:
    """Also where one of them believes that it has the lease still."""
    await five(world)
    id_ = await clean_user(world)
    job = await job_of(world, id_)
    await asyncio.gather(*(world.jobs._clean(job) for _ in range(2)))
    assert (await job_of(world, id_)).done == 4
    assert await world.value("SELECT count(*) FROM clean_requests") == 4
    await to_the_end(world)
    await world.jobs._clean(job)
    assert await world.value("SELECT count(*) FROM clean_requests") == 5


async def test_a_job_is_of_its_app(world: World) -> None:
    """Another app's, and one that is not there, is not found."""
    id_ = await clean_user(world)
    other = (await world.apps.create("other")).app_key
    for app_key, unknown in ((other, id_), (world.app_key, uuid4())):
        with pytest.raises(NotFound):
            await world.jobs.get(app_key, unknown)
        with pytest.raises(NotFound):
            await world.jobs.cancel(app_key, unknown, by=None, reason=None)
    assert (await job_of(world, id_)).state == "running"
    assert read_public_id("x") is None
    assert read_public_id((await world.clean("bob", "ann")).request_id) is None


# recall by sender ----------------------------------------------------------------------------------------------------


async def test_all_that_some_senders_wrote_there_is_recalled(world: World) -> None:
    """In steps; others' messages and other channels stay; what is sent after the call stays; devices learn of each."""
    g = await world.make_group("bob", "cid", "dan")
    other = await world.post(await world.make_group("bob", id_="h"), "bob")
    gone = []
    for _ in range(3):
        gone += [await world.post(g, "bob"), await world.post(g, "cid", persist=False)]
        await world.post(g, "ann")
    id_ = await recall_by_sender(world, g, "bob", "cid", "nobody")
    late = await world.post(g, "bob")
    await world.recall(g, gone[0], "bob")
    await to_the_end(world)
    job = await job_of(world, id_)
    assert (job.kind, job.state, job.done, job.total) == ("recall-by-sender", "done", 5, None)
    rows = await world.rows(
        "SELECT position, content FROM messages WHERE recall_stamp IS NOT NULL ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [(at, "") for at in gone]
    assert await world.value("SELECT count(DISTINCT stamp) FROM recalls") == 6
    assert len((await world.sync("dan")).recalls) == 6
    seen = await world.seen(g, "dan")
    assert len(seen) == 4
    assert late in seen
    assert await world.seen(world.group("h"), "ann") == [other]
    assert await world.seen(g, "dan") == seen


async def test_only_what_came_before_is_recalled(world: World) -> None:
    """The instant itself stays; a channel that is not there is done at once."""
    sent = [await world.send(at=NOON + number * SECOND) for number in range(3)]
    await recall_by_sender(world, world.channel(), "ann", before=sent[1])
    nowhere = await recall_by_sender(world, world.group("none"), "ann")
    await to_the_end(world)
    assert await world.history("bob", "ann") == [sent[2], sent[1]]
    assert ((await job_of(world, nowhere)).state, (await job_of(world, nowhere)).done) == ("done", 0)


async def test_what_was_answered_is_recalled_though_its_position_is_ahead_of_the_clock(world: World) -> None:
    """Many in one instant: their positions run ahead, and what is sent after the call comes after them."""
    for _ in range(3):
        await world.send()
    await world.jobs.recall_by_sender(world.channel(), ["ann"], before=NEVER, reason=None, source="test")
    late = await world.send()
    await to_the_end(world)
    assert await world.history("bob", "ann") == [late]


async def test_a_recall_is_final(world: World) -> None:
    """A cancel is refused by a sentence, and it goes on."""
    await world.send()
    id_ = await recall_by_sender(world, world.channel(), "ann")
    with pytest.raises(Conflict, match="recall is final"):
        await world.jobs.cancel(world.app_key, id_, by=None, reason=None)
    await to_the_end(world)
    assert await world.history("bob", "ann") == []


@pytest.mark.parametrize("statement", ["list_positions_by_sender", "update_job"])
async def test_a_crash_in_a_recall_repeats_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """One recall row for each message."""
    for _ in range(5):
        await world.send()
    id_ = await recall_by_sender(world, world.channel(), "ann")
    await step(world)

    async def dies(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, statement, dies)
        with pytest.raises(DatabaseUnavailable):
            await world.jobs.work()
    assert await world.value("SELECT count(*) FROM recalls") == 2
    world.clock.advance(LEASE)
    await to_the_end(world)
    assert (await job_of(world, id_)).done == 5
    assert await world.value("SELECT count(*) FROM recalls") == 5
    assert await world.history("bob", "ann") == []


async def test_under_a_hold_the_content_stays(world: World) -> None:
    """Gone from view all the same."""
    await world.send(content="evidence")
    await world.policies.place_hold(world.app_key, channel=None, user_id="ann", reason="case")
    await recall_by_sender(world, world.channel(), "ann")
    await to_the_end(world)
    assert await world.history("bob", "ann") == []
    assert await world.value("SELECT content FROM messages") == "evidence"
