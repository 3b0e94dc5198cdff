"""Files against sends, crashes and a store that fails: on real connections, and cut between every two steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from history.axis import SECOND
from history.errors import Conflict, InvalidInput, MediaUnavailable, NotFound
from history.media import store
from history.media.model import AGAIN_AFTER, UNFINISHED_AFTER, Media
from history.media.service import Files
from history.media.upkeep import Upkeep
from history.messages import store as messages_store
from history.objects import SHELVES, Objects
from tests.cut_store import Cut, Failing
from tests.factories import NOON, World
from tests.storage.test_media import says
from tests.storage.test_races import held, somebody_waits

HOURS = 24 * 3_600 * SECOND


def failing(world: World, cut: str, *, error: Exception | None = None) -> World:
    """The same services on a store that fails: `cut` is before or after, and what."""
    objects = Failing(world.objects, cut, error=error)
    return replace(
        world,
        objects=objects,
        files=Files(world.database, world.apps, world.clock, objects),
        upkeep=Upkeep(world.database, world.clock, objects),
    )


async def objects_of(world: World) -> set[UUID]:
    """Everything that lies in the store, cut uploads included."""
    shelves = [await world.objects.shelf(number) for number in range(SHELVES)]
    return {id_ for shelf in shelves for id_ in shelf.objects.keys() | shelf.parts}


async def rows_of(world: World) -> dict[UUID, str]:
    return {row["id"]: row["state"] for row in await world.rows("SELECT id, state FROM media")}


async def sweep(world: World) -> None:
    """What the worker does in the end."""
    while (await world.upkeep.look(now=world.clock.now())).seen:
        pass
    for number in range(SHELVES):
        found = await world.upkeep.compare(number)
        assert found.lost == []
        await world.upkeep.delete_strays(found.strays)


# sends against deletion


async def _refer(connection: Any, world: World, file: Media) -> None:
    """The statements of a send that refers to the file."""
    await messages_store.share_media(connection, [file.id])
    row = (1, 1, file.id, world.app_key, 1, "ann", None)
    await messages_store.insert_references(connection, [row])


async def _decide(connection: Any, world: World, file: Media) -> None:
    """The first statements of a deletion: nothing needs the file."""
    assert await store.lock_media(connection, world.app_key, file.id)
    assert not (await store.get_needs(connection, file.id)).needed


async def _give_up(connection: Any, file: Media) -> None:
    """Its last one."""
    await store.update_deleting(connection, file.id, again_at=NOON)


async def test_a_send_waits_for_a_deletion_that_decides_and_is_refused_after_it(world: World) -> None:
    file = await world.upload()
    async with world.twin() as other:
        async with held(world) as connection:
            await _decide(connection, world, file)
            sending = asyncio.create_task(other.send(content=says(file)))
            await somebody_waits(world)
            await _give_up(connection, file)
        with pytest.raises(InvalidInput, match="not there"):
            await sending
    assert await world.value("SELECT count(*) FROM media_refs") == 0


async def test_a_deletion_waits_for_a_send_that_refers_to_the_file_and_leaves_it(world: World) -> None:
    file = await world.upload()
    world.clock.set(NOON + HOURS)
    async with world.twin() as other:
        async with held(world) as connection:
            await _refer(connection, world, file)
            looking = asyncio.create_task(other.upkeep.look(now=world.clock.now()))
            await somebody_waits(world)
        assert (await looking).files == 0
    assert await world.there(file)


async def test_a_removal_waits_for_a_send_too(world: World) -> None:
    file = await world.upload()
    async with world.twin() as other:
        async with held(world) as connection:
            await _refer(connection, world, file)
            removing = asyncio.create_task(other.files.remove(world.app_key, file.public_id))
            await somebody_waits(world)
        with pytest.raises(Conflict):
            await removing
    assert await world.there(file)


async def test_sends_and_deletions_at_once_never_leave_a_message_without_its_file(world: World) -> None:
    """Two processes, forty files that are due: each send is refused or keeps its file."""
    files = [await world.upload(data=b"%d" % number) for number in range(40)]
    world.clock.set(NOON + HOURS)
    async with world.twin() as other:

        async def try_to_send(file: Media) -> bool:
            try:
                await other.send(content=says(file))
            except InvalidInput:
                return False
            return True

        async def look() -> None:
            while (await world.upkeep.look(now=world.clock.now())).seen:
                pass

        answers = await asyncio.gather(look(), *map(try_to_send, files), look())
    sent = dict(zip((file.id for file in files), answers[1:-1], strict=True))
    await sweep(world)
    for file in files:
        assert await world.there(file) is sent[file.id]
    refs = {row["media_id"] for row in await world.rows("SELECT media_id FROM media_refs")}
    assert refs == {id_ for id_, was_sent in sent.items() if was_sent}


# the store between the two steps


@pytest.mark.parametrize("cut", ["before write", "after write", "before delete", "after delete"])
async def test_whatever_is_cut_the_sweep_leaves_neither_a_row_nor_an_object_alone(
    world: World, cut: str
) -> None:
    """The process dies: also what would have cleaned up after it does not run."""
    kept = await world.upload()
    await world.send(content=says(kept))
    broken = failing(world, cut)
    if cut.endswith("write"):
        broken.files._upkeep = None
        with pytest.raises(Cut):
            await broken.upload()
        [state] = [state for id_, state in (await rows_of(world)).items() if id_ != kept.id]
        assert state == "uploading"
        later = NOON + UNFINISHED_AFTER
    else:
        file = await world.upload()
        world.clock.set(NOON + HOURS)
        with pytest.raises(Cut):
            await broken.upkeep.look(now=world.clock.now())
        assert (await rows_of(world))[file.id] == "deleting"
        with pytest.raises(InvalidInput):
            await world.send(content=says(file))
        later = NOON + HOURS + AGAIN_AFTER
    world.clock.set(later - 1)
    before = (await rows_of(world), await objects_of(world))
    await sweep(world)
    assert (await rows_of(world), await objects_of(world)) == before, "it may still be under way"
    world.clock.set(later)
    await sweep(world)
    assert (await rows_of(world), await objects_of(world)) == ({kept.id: "ready"}, {kept.id})


@pytest.mark.parametrize("cut", ["before write", "after write"])
async def test_an_upload_that_the_store_refuses_leaves_nothing_at_once(world: World, cut: str) -> None:
    broken = failing(world, cut, error=MediaUnavailable("no"))
    with pytest.raises(MediaUnavailable):
        await broken.upload()
    assert (await rows_of(world), await objects_of(world)) == ({}, set())


async def test_an_upload_that_was_given_up_meanwhile_leaves_nothing(world: World) -> None:
    """So slow that the sweep came first: its object is written after its row is gone."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        world.clock.advance(UNFINISHED_AFTER)
        await sweep(world)
        assert await rows_of(world) == {}
        yield b"y"

    app = await world.apps.find(world.app_key)
    with pytest.raises(MediaUnavailable, match="too long"):
        await world.files.upload(app, chunks(), type_="image/png", size=None, user="ann")
    assert (await rows_of(world), await objects_of(world)) == ({}, set())


async def test_a_deletion_that_the_store_refuses_is_gone_on_with_later(world: World) -> None:
    file = await world.upload()
    broken = failing(world, "before delete", error=MediaUnavailable("no"))
    with pytest.raises(MediaUnavailable):
        await broken.files.remove(world.app_key, file.public_id)
    assert not await world.readable(file, None)
    world.clock.advance(AGAIN_AFTER)
    await sweep(world)
    assert not await world.there(file)


# store against table


async def test_the_sweep_deletes_what_has_no_row_and_tells_what_has_no_object(world: World) -> None:
    fine, lost, short = [await world.upload(data=b"12345") for _ in range(3)]
    await world.objects.delete(lost.id)
    folder = world.objects._folder
    assert folder is not None
    path = folder / world.objects._path(short.id)
    path.write_bytes(b"1")
    stray, part = uuid4(), uuid4()
    await world.objects.write(stray, _bytes(b"x"))
    cut = folder / f"{world.objects._path(part)}#1"
    cut.parent.mkdir(exist_ok=True)
    cut.write_bytes(b"x")
    # not ours: another installation, and whatever lies there besides
    (folder / "0123456789abcdef" / "00").mkdir(parents=True)
    (folder / "0123456789abcdef" / "00" / uuid4().hex).write_bytes(b"x")
    strangers = {path for path in folder.rglob("*") if path.is_file()} - {
        cut,
        folder / world.objects._path(stray),
    }
    found = [await world.upkeep.compare(number) for number in range(SHELVES)]
    assert {id_ for one in found for id_ in one.strays} == {stray, part}
    assert {id_ for one in found for id_ in one.lost} == {lost.id, short.id}
    assert sum(one.files for one in found) == 3
    for one in found:
        await world.upkeep.delete_strays(one.strays)
    assert {path for path in folder.rglob("*") if path.is_file()} == strangers
    assert set(await rows_of(world)) == {fine.id, lost.id, short.id}
    with pytest.raises(NotFound):
        await world.files.open(lost, first=0, end=5)
    assert await world.upkeep.forget_lost([lost.id, short.id, uuid4()]) == 2
    assert (await rows_of(world), await objects_of(world)) == ({fine.id: "ready"}, {fine.id})


async def _bytes(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_another_master_key_is_another_installation(tmp_path: Path) -> None:
    one, two = (Objects(str(tmp_path), master_key=key * 32) for key in (b"a", b"b"))
    id_ = uuid4()
    await one.write(id_, _bytes(b"x"))
    assert (await one.size(id_), await two.size(id_)) == (1, None)
    shelf = id_.int >> 120
    assert (set((await one.shelf(shelf)).objects), set((await two.shelf(shelf)).objects)) == ({id_}, set())
