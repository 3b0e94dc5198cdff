"""Streams of any kind: what they hold is given back however they end, and an answer that cannot go on is seen to be cut."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import aiohttp
import pytest

from history.errors import DatabaseUnavailable
from history.transfer import exports as exports_module
from history.transfer.exports import Exports
from history.transfer.model import Room
from server import middleware, parse
from server.calls import SERVICES
from server.gate import GATE
from tests.api.bodies import EXPORT, IMPORT
from tests.api.client import DAY_MS, HISTORY, SEND, Api, signed
from tests.api.cut import Caller, call, until
from tests.api.test_import import done, imported, line, packed

ROOM = 16


def rooms(api: Api) -> tuple[Room, Room]:
    """Of imports and of exports."""
    assert api.client.app is not None
    services = api.client.app[SERVICES]
    return services.imports.room, services.exports.room


async def all_given_back(api: Api) -> None:
    """Nothing is under way, and both kinds are taken again."""
    assert api.client.app is not None
    gate = api.client.app[GATE]
    await until(lambda: not any(room.streams for room in rooms(api)) and not gate.requests and not gate.bytes)
    assert await imported(api, packed(line(api.now_ms))) == ([], done(1, 1))
    assert (await exported(api)).count(b"\n") > 0


async def exported(api: Api, **headers: str) -> bytes:
    """An export, whole."""
    answer = await api.request("GET", EXPORT, headers={**signed(api.keys, timestamp=api.now_ms), **headers})
    assert answer.status == 200
    return answer.body


async def much(api: Api) -> None:
    """More messages than a page and all buffers on the way hold."""
    at = api.now_ms - DAY_MS
    lines = packed(*(line(at + n, content="x" * 120_000) for n in range(120)))
    assert await imported(api, lines) == ([], done(120, 120))


async def taking(api: Api, room: Room, how: str) -> list[Caller]:
    """As many callers as there is room for, each at his beginning."""
    callers = []
    for n in range(ROOM):
        callers.append(
            await call(api, "POST", IMPORT, b"12345", length=1_000)
            if how == "import"
            else await call(api, "GET", EXPORT)
        )
        await until(lambda n=n: room.streams == n + 1)  # type: ignore[misc]
    return callers


@pytest.mark.parametrize("end", ["FIN", "RST"])
async def test_imports_that_are_cut_give_their_places_back(
    api: Api, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    room, _ = rooms(api)
    callers = await taking(api, room, "import")
    (await api.raw(IMPORT, packed(line(api.now_ms)))).refused(503, 1000, "Too many imports")
    for caller in callers:
        caller.end(end)
    await all_given_back(api)
    assert "failed" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("end", ["FIN", "RST"])
async def test_exports_are_bounded_and_those_that_are_cut_give_their_places_back(
    api: Api, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await much(api)
    _, room = rooms(api)
    callers = await taking(api, room, "export")
    answer = await api.request("GET", EXPORT, headers=signed(api.keys, timestamp=api.now_ms))
    answer.refused(503, 1000, "Too many exports")
    assert answer.headers["Retry-After"] == "1"
    for caller in callers:
        caller.end(end)
    await all_given_back(api)
    assert "failed" not in "".join(capfd.readouterr())


async def test_whoever_hangs_up_right_after_his_request_holds_nothing(
    api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where the connection is lost before its request is looked at."""
    await much(api)
    for path, method, body in ((IMPORT, "POST", b"12345"), (SEND, "POST", b"{"), (EXPORT, "GET", b"")):
        for end in ("FIN", "RST") * 10:
            caller = await call(api, method, path, body, length=1_000 if body else 0)
            caller.end(end)
    await all_given_back(api)
    assert "failed" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("kind", ["import", "export"])
async def test_a_reader_who_takes_nothing_is_let_go(
    api: Api, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(middleware, "MOST_STALL", 0.05)
    if kind == "export":
        await much(api)
        caller = await call(api, "GET", EXPORT)
    else:
        caller = await call(api, "POST", IMPORT, b"wrong\n" * 300_000)
    await until(lambda: any(room.streams for room in rooms(api)))
    await all_given_back(api)
    caller.end("FIN")


async def test_a_caller_who_sends_nothing_more_is_told_and_let_go(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was whole before is stored."""
    monkeypatch.setattr(parse, "MOST_SILENCE", 0.05)
    caller = await call(api, "POST", IMPORT, packed(line(api.now_ms)) + b'{"cha', length=1_000)
    said = await caller.reader.readuntil(b"}\n")
    summary = json.loads(said.splitlines()[-1])
    assert "Nothing of the body came for 0.05 seconds" in summary.pop("errorMessage")
    assert summary == {**done(0, 0), "complete": False, "code": 1002}
    caller.end("FIN")
    await all_given_back(api)


@pytest.mark.parametrize("path", [SEND, HISTORY, IMPORT, "/v1/media"])
async def test_a_caller_who_hangs_up_in_the_middle_of_his_body_is_no_fault_of_ours(
    api: Api, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert api.client.app is not None
    gate = api.client.app[GATE]
    bearer = {"Authorization": f"Bearer {api.keys.api_key}"} if path == "/v1/media" else {}
    for end in ("FIN", "RST"):
        caller = await call(api, "POST", path, b'{"fromUserId":', length=1_000, **bearer)
        await until(lambda: gate.requests == 1)
        caller.end(end)
        await until(lambda: gate.requests == 0)
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [(DatabaseUnavailable("away"), "An answer broke off."), (ZeroDivisionError(), "A request failed.")],
)
async def test_an_answer_that_cannot_go_on_breaks_off(
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
    said: str,
) -> None:
    """Nothing follows what was sent, least of all another answer."""
    monkeypatch.setattr(exports_module, "_MOST_LINES", 2)
    at = api.now_ms - DAY_MS
    await imported(api, packed(*(line(at + n) for n in range(8))))
    page = Exports._page

    async def failing(self: Exports, sources: Any, end: int) -> Any:
        if len(sources) == 1 and sources[0].first > (at + 3) * 1_000:
            raise error
        return await page(self, sources, end)

    monkeypatch.setattr(Exports, "_page", failing)
    caller = await call(api, "GET", EXPORT)
    async with asyncio.timeout(20):
        answer = await caller.reader.read()
    caller.end("FIN")
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.count(b'"content":"hello"') == 4
    assert not answer.endswith(b"\r\n0\r\n\r\n")
    assert said in "".join(capfd.readouterr())
    with pytest.raises(aiohttp.ClientPayloadError):
        await exported(api)
    assert rooms(api)[1].streams == 0


async def test_a_stream_has_the_headers_of_every_answer_and_none_has_a_body_for_head(api: Api) -> None:
    await api.send()
    for method in ("GET", "HEAD"):
        answer = await api.request(
            method, EXPORT, headers={**signed(api.keys, timestamp=api.now_ms), "X-Request-ID": "7"}
        )
        assert (answer.status, answer.headers["X-Request-ID"]) == (200, "7")
        assert answer.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
        assert answer.body.count(b"\n") == (method == "GET")
    answer = await api.raw(IMPORT, packed(line(api.now_ms)), X_Request_ID="8")
    assert answer.headers["X-Request-ID"] == "8"


def bare(data: bytes) -> bytes:
    """Deflate without its head, as some send it."""
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


PACKED = [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", bare)]


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
async def test_a_packed_body_is_taken_whole_and_refused_where_its_end_is_missing(
    api: Api, encoding: str, pack: Any
) -> None:
    """Wherever it is cut, also where all lines are there and only the checksum is not."""
    lines = packed(*(line(api.now_ms - DAY_MS + n) for n in range(3)))
    whole = pack(lines)
    for cut in (1, 3, 9, len(whole) // 2, len(whole) - 1):
        refused, summary = await imported(api, whole[:-cut], Content_Encoding=encoding)
        assert (refused, summary["complete"], summary["code"]) == ([], False, 1002), cut
        assert "ended before it was whole" in summary["errorMessage"]
    stored = (await api.rows("SELECT count(*) FROM messages"))[0][0]
    assert stored == 0
    assert await imported(api, whole, Content_Encoding=encoding) == ([], done(3, 3))
    body = json.dumps({"fromUserId": "a", "toUserIds": ["b"], "messageType": "x", "content": "y"}).encode()
    (await api.raw(SEND, pack(body)[:-1], Content_Encoding=encoding)).refused(400, 1002, "ended before")
    (await api.raw(SEND, pack(body), Content_Encoding=encoding)).done()


async def test_a_gzip_of_many_parts_is_one_body(api: Api) -> None:
    """As several files on end are."""
    lines = [packed(line(api.now_ms - DAY_MS + n)) for n in range(2_000)]
    parts = b"".join(gzip.compress(one) for one in lines)
    assert await imported(api, parts, Content_Encoding="gzip") == ([], done(2_000, 2_000))
    large = gzip.compress(b"\n" * 5_000_000 + b"wrong\n")
    refused, summary = await imported(api, large + large, Content_Encoding="GZIP")
    assert [one["line"] for one in refused] == [5_000_001, 10_000_002]
    assert summary == done(2, 0, refused=2)
    refused, summary = await imported(api, parts + b"rubbish", Content_Encoding="gzip")
    assert summary["complete"] is False


@pytest.mark.parametrize("encoding", ["br", "zstd"])
@pytest.mark.parametrize("path", [SEND, IMPORT])
async def test_what_is_not_unpacked_here_is_refused_as_everything_is(
    api: Api, encoding: str, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (await api.raw(path, b"{}", Content_Encoding=encoding)).refused(400, 1002, encoding, "gzip")
    assert "".join(capfd.readouterr()) == ""
