"""The same store on a server that speaks S3, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from history.errors import ConfigurationError, MediaUnavailable
from history.media.service import Files
from history.media.upkeep import Upkeep
from history.objects import PART, PIECE, SHELVES, Objects
from tests.factories import MASTER_KEY, World
from tests.storage.test_media import says
from tests.storage.test_media_races import objects_of, rows_of, sweep

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
LIST = """
import boto3, sys
print(len(boto3.client("s3", endpoint_url=sys.argv[1]).list_multipart_uploads(Bucket="files").get("Uploads", ())))
"""
MAKE = """
import boto3, sys
boto3.client("s3", endpoint_url=sys.argv[1]).create_bucket(Bucket="files")
"""
KEYS = {"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server with a bucket called files."""
    environ = {**os.environ, **KEYS, "AWS_DEFAULT_REGION": "us-east-1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = f"http://127.0.0.1:{int(process.stdout.readline())}"
            subprocess.run([sys.executable, "-c", MAKE, address], env=environ, check=True, timeout=60)
            yield address
        finally:
            process.stdin.close()
            process.terminate()


@pytest.fixture
def place(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the objects of one test are."""
    for name, value in {**KEYS, "AWS_ENDPOINT": server}.items():
        monkeypatch.setenv(name, value)
    return f"s3://files/{uuid4().hex}"


def _parts_left(server: str) -> int:
    """How many uploads in parts the bucket still waits for."""
    listed = subprocess.run([sys.executable, "-c", LIST, server], check=True, capture_output=True, timeout=60)
    return int(listed.stdout)


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _whole(objects: Objects, id_: UUID, size: int) -> bytes:
    chunks = await objects.read(id_, 0, size)
    assert chunks is not None
    return b"".join([chunk async for chunk in chunks])


async def test_objects_are_written_read_listed_and_deleted(place: str) -> None:
    """Small ones at once, large ones in parts; ranges; what is not there."""
    objects = Objects(place, master_key=MASTER_KEY)
    small, large = uuid4(), uuid4()
    data = os.urandom(2 * PART + 5)
    await objects.write(small, _pieces(b"abc", b"def"))
    await objects.write(large, _pieces(*(data[n : n + 65_536] for n in range(0, len(data), 65_536))))
    assert (await objects.size(small), await objects.size(large)) == (6, len(data))
    assert await _whole(objects, large, len(data)) == data
    middle = await objects.read(large, PIECE - 2, PIECE + 3)
    assert middle is not None
    assert b"".join([chunk async for chunk in middle]) == data[PIECE - 2 : PIECE + 3]
    shelves = [await objects.shelf(number) for number in range(SHELVES)]
    found = {id_: size for shelf in shelves for id_, size in shelf.objects.items()}
    assert found == {small: 6, large: len(data)}
    for id_ in (small, large, uuid4()):
        await objects.delete(id_)
    assert await objects.size(large) is None
    assert await objects.read(small, 0, 6) is None


async def test_an_upload_that_breaks_off_leaves_no_object(place: str, server: str) -> None:
    objects, id_ = Objects(place, master_key=MASTER_KEY), uuid4()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * (PART + 1)
        yield b"x" * PART
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await objects.write(id_, chunks())
    assert await objects.size(id_) is None
    assert await asyncio.to_thread(_parts_left, server) == 0


async def test_files_live_and_end_there_as_in_a_folder(world: World, place: str) -> None:
    objects = Objects(place, master_key=MASTER_KEY)
    world = replace(
        world,
        objects=objects,
        files=Files(world.database, world.apps, world.clock, objects),
        upkeep=Upkeep(world.database, world.clock, objects),
    )
    kept, gone, stray = await world.upload(), await world.upload(), uuid4()
    sent = await world.send(content=says(gone))
    await world.send(content=says(kept))
    await objects.write(stray, _pieces(b"x"))
    await world.recall(world.channel(), sent)
    await world.work()
    assert (await world.there(kept), await world.there(gone)) == (True, False)
    assert await _whole(objects, kept.id, kept.size) == b"a picture"
    await sweep(world)
    assert (await rows_of(world), await objects_of(world)) == ({kept.id: "ready"}, {kept.id})


async def test_a_bucket_that_does_not_answer_or_is_not_there_is_unavailable_without_its_address(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = uuid4()
    nowhere = Objects("s3://nowhere", master_key=MASTER_KEY)
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    dead = Objects(place, master_key=MASTER_KEY)
    for objects in (nowhere, dead):
        with pytest.raises(MediaUnavailable) as refused:
            await objects.write(id_, _pieces(b"x"))
        assert "127.0.0.1" not in str(refused.value)
        assert "nowhere" not in str(refused.value)
    with pytest.raises(MediaUnavailable):
        await dead.read(id_, 0, 1)


@pytest.mark.parametrize("url", ["s3://", "s3://key:secret@bucket", "s3:///x"])
def test_an_address_that_is_none_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Objects(url, master_key=MASTER_KEY)
    assert "secret" not in str(refused.value)
