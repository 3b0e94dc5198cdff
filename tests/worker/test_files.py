"""The jobs that end files, and the command that compares store and table."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from click.testing import CliRunner

from cli.main import main
from history.axis import SECOND
from history.cursors import media_id
from tests.factories import MASTER_KEY, NOON, World
from tests.storage.test_media import says
from tests.worker.bursts import burst

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
HOURS = 24 * 3_600 * SECOND


async def _bytes() -> AsyncIterator[bytes]:
    yield b"stray"


async def test_the_job_deletes_what_nothing_needs_twice_late_or_with_redis_flushed(
    world: World, redis_url: str
) -> None:
    unused, recalled, used = [await world.upload() for _ in range(3)]
    sent = await world.send(content=says(recalled))
    await world.send(content=says(used))
    await world.recall(world.channel(), sent)
    await burst(world, redis_url, "delete_files", "delete_files")
    assert [await world.there(file) for file in (unused, recalled, used)] == [True, False, True]
    world.clock.set(NOON + HOURS)
    await burst(world, redis_url, "delete_files")
    assert [await world.there(file) for file in (unused, recalled, used)] == [False, False, True]


async def test_a_clean_of_all_of_a_user_gives_the_files_up_too(world: World, redis_url: str) -> None:
    """By the job, the settle and the reclaim after it."""
    file = await world.upload()
    sent = await world.send(content=says(file))
    await world.ack("bob", "ann", sent)
    await world.set(multi_device_sync=False)
    world.clock.advance(SECOND)
    await world.jobs.clean_user(
        world.app_key,
        "bob",
        before=(1 << 63) - 1,
        flag=None,
        delete_media=True,
        undo_seconds=0,
        reason=None,
        source="test",
    )
    for job in ("work_on_jobs", "settle_cleans", "reclaim_channels", "delete_files"):
        await burst(world, redis_url, job)
    assert await world.stored() == []
    assert not await world.there(file)


async def test_the_sweep_compares_store_and_table(world: World, redis_url: str) -> None:
    fine, lost, stray = await world.upload(), await world.upload(), uuid4()
    await world.objects.write(stray, _bytes())
    await world.objects.delete(lost.id)
    await burst(world, redis_url, "sweep_files")
    assert await world.objects.size(stray) is None
    assert await world.there(fine)
    assert await world.value("SELECT count(*) FROM media WHERE id = $1", lost.id) == 1, "told, never repaired"


@pytest.fixture
def environ(world: World) -> dict[str, str]:
    """What the command is told."""
    assert world.objects._folder is not None
    return {
        "TIDEMARK_DATABASE_URL": world.url,
        "TIDEMARK_REDIS_URL": "redis://127.0.0.1:1",
        "TIDEMARK_MASTER_KEY": base64.b64encode(MASTER_KEY).decode(),
        "TIDEMARK_MEDIA_DIR": str(world.objects._folder),
    }


async def test_the_command_says_what_differs_and_repairs_it_when_told(
    world: World, environ: dict[str, str]
) -> None:
    fine, lost, stray = await world.upload(), await world.upload(), uuid4()
    await world.send(content=says(fine))
    await world.objects.write(stray, _bytes())
    await world.objects.delete(lost.id)

    async def check(*words: str) -> tuple[int, str]:
        return await _run(environ, "media", "check", *words)

    status, said = await check()
    assert status == 1
    assert f"without a row  1 {media_id(stray.bytes)}" in said
    assert f"lost           1 {lost.public_id}" in said
    assert "say --repair" in said
    assert await world.objects.size(stray) is not None
    assert (await check("--repair"))[0] == 0
    assert await check() == (
        0,
        "files          1, 9 bytes\nunder way      0\nwithout a row  0\nlost           0\n",
    )
    assert await world.there(fine)
    assert not await world.there(lost)


async def test_the_command_without_a_place_says_what_to_set(environ: dict[str, str]) -> None:
    status, said = await _run({**environ, "TIDEMARK_MEDIA_DIR": ""}, "media", "check")
    assert status == 1
    assert "TIDEMARK_MEDIA_DIR" in said


async def _run(environ: dict[str, str], *words: str) -> tuple[int, str]:
    """In a thread: the command runs a loop of its own."""
    result = await asyncio.to_thread(CliRunner(env=environ).invoke, main, words)
    return result.exit_code, result.output
