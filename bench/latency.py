"""Latencies of requests one after the other, of several kinds in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench import load
from bench.ground import Api

BLOCKS, BLOCK = 12, 20


async def in_turn(api: Api, requests: Mapping[str, Sequence[bytes]]) -> dict[str, list[float]]:
    """The median latency (ms) of each block of sequential requests, the kinds in turn on one connection each."""
    medians: dict[str, list[float]] = {name: [] for name in requests}
    for ones in requests.values():
        # what a process learns by its first request, it knows from then on
        (await load.run(api.port, iter(ones[:BLOCK]), connections=1)).check()
    for number in range(BLOCKS):
        for name, ones in requests.items():
            block = [ones[(number * BLOCK + one) % len(ones)] for one in range(BLOCK)]
            got = (await load.run(api.port, iter(block), connections=1)).check()
            medians[name].append(got.quantile(0.5) * 1000)
    return medians
