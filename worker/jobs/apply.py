"""Apply cleans: Redis says which pairs have work, the journal decides what it is."""

from __future__ import annotations

from redis.asyncio import Redis

from history.axis import SECOND
from history.clock import Clock
from history.retention.model import WAITING_PAIRS, ApplyReport, Pair, queue_member, read_queue_member
from history.retention.service import MOST_TAKEN, Cleans

FORGOTTEN_AFTER = 5 * SECOND
"""Redis usually takes milliseconds: what is unapplied for longer was lost on the way."""

# A clean that was accepted while its pair was applied has raised the score: then the pair stays.
_REMOVE_UNLESS_RISEN = """
local removed = 0
for i = 1, #ARGV, 2 do
    local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if score and tonumber(score) <= tonumber(ARGV[i + 1]) then
        removed = removed + redis.call('ZREM', KEYS[1], ARGV[i])
    end
end
return removed
"""


async def apply_waiting(
    redis: Redis, cleans: Cleans, *, now: int, most: int = MOST_TAKEN
) -> tuple[ApplyReport, list[str]]:
    """Apply some of the pairs that wait in Redis; what was done, and members that are not ours."""
    taken = await redis.zrange(WAITING_PAIRS, 0, most - 1, withscores=True)
    scores: dict[Pair, int | None] = {}
    strangers: list[str] = []
    removals: list[str] = []
    for raw, score in taken:
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        pair = read_queue_member(text)
        removals += [raw, repr(score)]
        if pair is None or queue_member(pair) != text or not score.is_integer():
            strangers.append(text)
        else:
            scores[pair] = int(score)
    report = await cleans.apply(scores, now=now) if scores else ApplyReport(applied=0, forged=())
    if removals:
        remove = redis.register_script(_REMOVE_UNLESS_RISEN)
        await remove(keys=[WAITING_PAIRS], args=removals)
    return report, strangers


async def apply_forgotten(cleans: Cleans, clock: Clock, *, after: int = FORGOTTEN_AFTER) -> int:
    """Apply what the journal has for so long and Redis lost; how many requests."""
    applied = 0
    while pairs := await cleans.forgotten(accepted_before=clock.now() - after):
        report = await cleans.apply(dict.fromkeys(pairs), now=clock.now())
        applied += report.applied
        if not report.applied:
            break
    return applied
