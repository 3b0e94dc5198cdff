"""Every job that is queued is served, and what runs by the clock is a job that is served."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import server.queue
from history.retention.model import WAITING_PAIRS
from server.queue import APPLY_JOB, deserialize, serialize
from tests.factories import World, open_world
from tests.worker.bursts import worker_of
from worker.settings import JOB_SECONDS, JOBS

SERVED = {job.__name__ for job in JOBS}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


def queued_names() -> set[str]:
    """The first argument of every enqueue_job in the product, constants followed to their text."""
    found = set()
    for path in Path(server.queue.__file__).parents[1].glob("[!t]*/**/*.py"):
        if path.parts[-2].startswith(".") or ".venv" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "enqueue_job":
                name = node.args[0]
                if isinstance(name, ast.Constant):
                    found.add(str(name.value))
                else:
                    assert isinstance(name, ast.Name), f"{path}: a job's name must be a constant"
                    found.add(getattr(server.queue, name.id))
    return found


def test_every_queued_name_is_served() -> None:
    assert queued_names() == {APPLY_JOB}
    assert queued_names() <= SERVED


@pytest.mark.parametrize("name", sorted(SERVED))
async def test_every_job_is_a_function_with_a_docstring_that_the_worker_serves(
    world: World, redis_url: str, name: str
) -> None:
    worker = worker_of(world, redis_url)
    assert set(worker.functions) >= SERVED
    assert worker.functions[name].coroutine.__doc__


async def test_crons_are_jobs_that_are_served_and_keep_nothing(world: World, redis_url: str) -> None:
    worker = worker_of(world, redis_url, burst=False)
    assert worker.cron_jobs
    for cron in worker.cron_jobs:
        assert cron.coroutine in JOBS
        assert cron.keep_result_s == 0
        # an id of its own would let a job that died with its worker stand in the way of the next
        assert cron.job_id is None


async def test_what_no_client_asks_for_runs_by_the_clock(world: World, redis_url: str) -> None:
    worker = worker_of(world, redis_url, burst=False)
    by_the_clock = {cron.coroutine.__qualname__ for cron in worker.cron_jobs or ()}
    assert by_the_clock | queued_names() == SERVED


def test_both_ends_write_and_read_the_same_bytes() -> None:
    job = {"t": 1, "f": APPLY_JOB, "a": (), "k": {}, "et": 1_773_144_000_000}
    assert deserialize(serialize(job)) == {**job, "a": []}
    assert WAITING_PAIRS.startswith("tidemark:")
    assert JOB_SECONDS > 0
