"""Memory, the cold start of `tidemark up`, and bytes on disk."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
import time

import psutil

from bench import filling, load, sending
from bench.ground import HOUSE, Ground, free_port, scratch
from bench.rows import Row, beside
from history.channels.model import derived_id

_READY = re.compile(rb"is ready on")
_START_SECONDS = 120.0


async def measure(ground: Ground) -> list[Row]:
    """What it holds, how long it takes, how much it writes."""
    return [*_start(ground), *await _memory(ground), await _disk(ground)]


def _start(ground: Ground) -> list[Row]:
    ground.step("starting `tidemark up` in a new folder, and again in the same")
    seconds, resident = [], {}
    with scratch() as path:
        for _ in range(2):
            began = time.perf_counter()
            with subprocess.Popen(
                [sys.executable, "-m", "cli", "up", "--data", str(path / "data"), "--port", str(free_port())],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=HOUSE,
            ) as child:
                assert child.stdout is not None
                lines = iter(child.stdout.readline, b"")
                if not any(_READY.search(line) for line in lines):
                    raise RuntimeError("`tidemark up` did not become ready.")
                seconds.append(time.perf_counter() - began)
                resident = {
                    word: process.memory_info().rss / 2**20
                    for process in psutil.Process(child.pid).children(recursive=True)
                    for word in ("serve", "worker")
                    if process.cmdline()[-1] == word
                }
                child.send_signal(signal.SIGINT)
                child.communicate()
    return [
        Row(name="cold start of `tidemark up`, new folder", value=seconds[0], unit="s"),
        Row(name="cold start of `tidemark up`, same folder", value=seconds[1], unit="s"),
        *(
            Row(name=f"resident, idle: {word}", value=size, unit="MiB")
            for word, size in sorted(resident.items())
        ),
    ]


async def _memory(ground: Ground) -> list[Row]:
    ground.step("an API process under load")
    async with ground.process() as process:
        before = process.resident()
        for _ in range(2):
            (await load.run(process.port, sending.requests(ground, sending.SEND), seconds=3)).check()
        after = process.resident()
    return [
        Row(name="resident, API: fresh", value=before, unit="MiB"),
        Row(name="resident, API: after 6 s of sends from 64 connections", value=after, unit="MiB"),
    ]


async def _disk(ground: Ground) -> Row:
    """Into a month of its own, so that only these rows are weighed; by COPY, as sends are written."""
    ground.step("writing 200,000 messages into a month of their own")
    month = 1_577_836_800_000_000
    await ground.api.messages.make_months(now=month)
    count, channels = 200_000, 1_000
    ids = [derived_id(filling.group(ground, f"disk{number}"), 0) for number in range(channels)]
    rows = (
        (ids[number % channels], month + number, 3, f"user{number % channels}", "RC:TxtMsg", load.CONTENT)
        for number in range(count)
    )
    while batch := list(itertools.islice(rows, 64)):
        await ground.raw.copy_records_to_table(
            "messages",
            records=batch,
            columns=("channel_id", "position", "flags", "sender", "type", "content"),
        )
    size = await ground.raw.fetchval("SELECT pg_total_relation_size('messages_2020_01')")
    return beside(
        "disk, a message of 115 characters, indexes included",
        [size / count],
        [283],
        unit="bytes",
        limit="the design's",
        budget=1,
        sense="max",
    )
