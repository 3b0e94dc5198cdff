"""What admins and load balancers are told of the retention job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from history.axis import MILLISECOND, SECOND
from history.retention.model import ReclaimReport
from history.runs.model import LATE, SILENT, WINDOW
from server.calls import SERVICES
from server.inflow import telling
from server.services import Services
from tests.api.client import Api, open_api
from tests.factories import NOON


def services(api: Api) -> Services:
    found: Services = api.client.app[SERVICES]
    return found


def path(api: Api, query: str = "") -> str:
    return f"/admin/apps/{api.keys.app_key}/retention/runs{query}"


async def begun(api: Api, minutes: int) -> None:
    """Runs of so many minutes, the last of them half way through."""
    for minute in range(minutes):
        api.clock.set(NOON + minute * WINDOW + 30 * SECOND)
        await services(api).runs.begin()


async def page(api: Api, query: str = "") -> dict[str, Any]:
    answer = await api.admin("GET", path(api, query))
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_runs_tell_what_was_done_beside_what_came(api: Api) -> None:
    assert await page(api) == {"runs": []}
    await begun(api, 1)
    visit = ReclaimReport(app_key=api.keys.app_key, channel_id=1, deleted=90, finished=True)
    await services(api).runs.record(NOON, [visit, visit])
    for _ in range(3):
        await api.send()
    await services(api).runs.tell_appended(services(api).messages.appended)
    [[size]] = await api.rows("SELECT bytes_before FROM retention_runs")
    assert size > 0
    run = {
        "startedAt": NOON // MILLISECOND,
        "endedAt": None,
        "due": 0,
        "done": 2,
        "unfinished": 0,
        "left": 0,
        "backlogAgeSeconds": 0,
        "deletedMessages": 180,
        "receivedMessages": 3,
        "drain": 6.0,
        "inflow": 0.1,
        "keepsUp": None,
        "bytesBefore": size,
        "bytesAfter": size,
        "droppedMonths": [],
    }
    assert await page(api) == {"runs": [run]}
    api.clock.advance(WINDOW)
    over = {
        **run,
        "endedAt": NOON // MILLISECOND + 60_000,
        "drain": 3.0,
        "inflow": 0.05,
        "keepsUp": True,
    }
    assert await page(api) == {"runs": [over]}


async def test_runs_tell_of_dropped_months_and_of_their_bytes(api: Api) -> None:
    """Of what an older version left, that nobody measured."""
    await begun(api, 2)
    await services(api).runs.record_dropped(NOON + WINDOW, ["messages_2025_12", "messages_2026_01"])
    await api.rows(
        "UPDATE retention_runs SET bytes_before = 900000, bytes_after = 100 WHERE started_at > $1", NOON
    )
    await api.rows(
        "UPDATE retention_runs SET bytes_before = NULL, bytes_after = NULL WHERE started_at = $1", NOON
    )
    told = [
        (run["droppedMonths"], run["bytesBefore"], run["bytesAfter"]) for run in (await page(api))["runs"]
    ]
    assert told == [(["2025-12", "2026-01"], 900_000, 100), ([], None, None)]


async def test_pages_follow_one_another_without_a_gap(api: Api) -> None:
    await begun(api, 25)
    starts = [(NOON + minute * WINDOW) // MILLISECOND for minute in reversed(range(25))]
    first = await page(api)
    assert [run["startedAt"] for run in first["runs"]] == starts[:20]
    rest = await page(api, f"?cursor={first['cursor']}")
    assert [run["startedAt"] for run in rest["runs"]] == starts[20:]
    assert "cursor" not in rest
    assert [run["startedAt"] for run in (await page(api, "?limit=1&cursor="))["runs"]] == starts[:1]
    assert len((await page(api, "?limit=100"))["runs"]) == 25
    assert len((await page(api, "?limit=1&limit=2"))["runs"]) == 1


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "true", "9" * 5000, "%00", "%FF"])
async def test_a_limit_that_is_none_is_refused(api: Api, limit: str) -> None:
    await begun(api, 2)
    before = await api.everything()
    (await api.admin("GET", path(api, f"?limit={limit}"))).refused(400, 1002, "limit")
    assert await api.everything() == before


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%C3%A9", "%00", "%FF", "eJxLKwcAASUBBQ"])
async def test_a_cursor_that_is_none_is_refused(api: Api, cursor: str) -> None:
    await begun(api, 2)
    (await api.admin("GET", path(api, f"?cursor={cursor}"))).refused(400, 1002, "cursor")


async def test_a_cursor_that_is_too_long_is_refused(api: Api) -> None:
    (await api.admin("GET", path(api, f"?cursor={'x' * 1025}"))).refused(400, 1005, "cursor")


async def test_another_apps_cursor_shows_ones_own_runs(api: Api) -> None:
    other = await api.new_app()
    await begun(api, 3)
    cursor = (await page(api, "?limit=1"))["cursor"]
    theirs = await page(api.of(other), f"?cursor={cursor}")
    assert len(theirs["runs"]) == 2
    (await api.admin("GET", "/admin/apps/nope/retention/runs")).refused(404, 404)


async def test_ready_says_that_retention_falls_behind_and_stays_ready(api: Api) -> None:
    ready = {"status": "ok", "missing": []}
    await begun(api, 2)
    assert (await api.request("GET", "/readyz")).json == ready
    await api.rows("UPDATE retention_runs SET backlog_age = $1, remaining = 7", LATE + SECOND)
    api.clock.advance(10 * SECOND)
    answer = await api.request("GET", "/readyz")
    assert answer.status == 200
    line = answer.json.pop("retention")
    assert line.startswith("Retention falls behind in 1 app: 7 channels are due, the longest for 301 s;")
    assert {**answer.json, "retention": line} == {**ready, "retention": line}
    assert api.keys.app_key not in line
    await begun(api, 3)
    api.clock.advance(WINDOW)
    assert (await api.request("GET", "/readyz")).json == ready
    api.clock.advance(SILENT)
    answer = await api.request("GET", "/readyz")
    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert "Is a worker there?" in answer.json["retention"]


async def test_a_load_balancer_that_asks_often_costs_one_look_in_ten_seconds(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    runs = services(api).runs
    really = runs._judge

    async def judge(now: int) -> str | None:
        looks.append(now)
        return await really(now)

    monkeypatch.setattr(runs, "_judge", judge)
    for _ in range(20):
        assert (await api.request("GET", "/readyz")).status == 200
        api.clock.advance(SECOND)
    assert looks == [NOON, NOON + 10 * SECOND]


async def test_a_process_tells_what_it_stored_before_it_ends(api: Api, redis_url: str) -> None:
    await begun(api, 1)
    async with open_api(api.database_url, redis_url, like=api, clock=api.clock) as second:
        await second.send("ann", "bob", "cid")
        await second.send()
    assert (await page(api))["runs"][0]["receivedMessages"] == 3


async def test_it_tells_while_it_runs(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await begun(api, 1)
    await api.send()
    told = asyncio.Event()
    runs, messages = services(api).runs, services(api).messages
    really = runs.tell_appended

    async def tell(*arguments: Any) -> None:
        await really(*arguments)
        told.set()

    monkeypatch.setattr(runs, "tell_appended", tell)
    async with telling(messages, runs, every=0):
        await asyncio.wait_for(told.wait(), 10)
        assert (await page(api))["runs"][0]["receivedMessages"] == 1
