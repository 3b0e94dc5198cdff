"""Imports over HTTP: lines that are wrong, streams of any length and form, and callers who go away."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from history.errors import DatabaseUnavailable
from history.transfer import model
from history.transfer.imports import Imports
from history.transfer.model import Line, Outcome
from server import lines as lines_module
from server.calls import SERVICES
from server.handlers.transfer import _batches
from tests.api.bodies import IMPORT
from tests.api.client import DAY_MS, Answer, Api, signed
from tests.api.cut import until

ABSENT = object()


def line(at: int = 0, /, **more: Any) -> dict[str, Any]:
    """A line, in the channel of ann and bob unless said otherwise; a field that is ABSENT is left out."""
    whole = {
        "channelType": 1,
        "channelId": "bob",
        "fromUserId": "ann",
        "messageType": "RC:TxtMsg",
        "content": "hello",
        "sentAt": at,
        **more,
    }
    return {name: value for name, value in whole.items() if value is not ABSENT}


def packed(*lines: dict[str, Any] | bytes) -> bytes:
    """As a stream has them."""
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)


def told(answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The refused lines, and the summary."""
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
    *refused, done = [json.loads(text) for text in answer.body.splitlines()]
    return refused, done


async def imported(api: Api, data: Any, **headers: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Refused lines and the summary of an import."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Content-Type": "application/x-ndjson", **signed(api.keys, timestamp=api.now_ms), **given}
    body = io.BytesIO(data) if isinstance(data, bytes) else data
    return told(await api.request("POST", IMPORT, data=body, headers=given))


def done(lines: int, imported: int, there: int = 0, refused: int = 0) -> dict[str, Any]:
    """The summary of an import that came to its end."""
    counts = {"lines": lines, "imported": imported, "alreadyThere": there, "refused": refused}
    return {"complete": True, **counts}


async def test_what_is_imported_is_history_with_its_own_time(api: Api) -> None:
    at = api.now_ms - DAY_MS
    sent = line(at, isEchoToSender=1, hasMetadata=True, metadata={"topic": "food", "table": 4})
    assert await imported(api, packed(sent)) == ([], done(1, 1))
    for user, other in (("bob", "ann"), ("ann", "bob")):
        (message,) = await api.history(user, other)
        assert (message["sentAt"], message["position"], message["content"]) == (at, at * 1000, "hello")
        assert [(item["key"], item["value"]) for item in message["metadata"]] == [
            ("topic", "food"),
            ("table", "4"),
        ]
    assert await api.given() == []
    assert await imported(api, packed(line(at, deliver=True))) == ([], done(1, 1))
    assert await api.given() == [("hello", "missed")]


async def test_every_type_of_channel_is_named_as_a_recall_names_it(api: Api) -> None:
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob", "cid"])
    await api.do("open-channel/create", channelId="o")
    at = api.now_ms - DAY_MS
    channels = [(1, "bob"), (3, "g"), (4, "o"), (6, "bob")]
    lines = [line(at, channelType=type_, channelId=id_, content=f"{type_}") for type_, id_ in channels]
    targeted = line(at, channelType=3, channelId="g", content="for cid", toUserIds=["cid", "cid"])
    assert await imported(api, packed(*lines, targeted)) == ([], done(5, 5))
    for kind, other, type_ in (
        ("direct", "ann", 1),
        ("group", "g", 3),
        ("open", "o", 4),
        ("system", "ann", 6),
    ):
        assert await api.contents("bob", other, kind=kind) == [f"{type_}"]
    assert await api.contents("cid", "g", kind="group") == ["for cid", "3"]


SOON = "now"
WRONG: list[tuple[dict[str, Any] | bytes, int, str]] = [
    (b"not json", 1002, "not a JSON object"),
    (b"[]", 1002, "not a JSON object"),
    (b"7", 1002, "not a JSON object"),
    (json.dumps(line(1_700_000_000_000)).encode() * 2, 1002, "not a JSON object"),
    (b'{"x":"\xff"}', 1002, "not a JSON object"),
    (b"[" * 10_000, 1002, "not a JSON object"),
    ({"channelType": ABSENT}, 1002, "channelType is missing"),
    ({"channelType": 2}, 1002, "channelType"),
    ({"channelType": "1"}, 1002, "channelType"),
    ({"channelId": ABSENT}, 1002, "channelId is missing"),
    ({"channelId": ""}, 1002, "channelId"),
    ({"channelId": "x" * 65}, 1005, "channelId"),
    ({"channelId": "ann"}, 1002, "channelId is fromUserId"),
    ({"channelId": "ann", "channelType": 6}, 1002, "channelId is fromUserId"),
    ({"fromUserId": ABSENT}, 1002, "fromUserId is missing"),
    ({"fromUserId": 7}, 1002, "fromUserId"),
    ({"messageType": ABSENT}, 1002, "messageType is missing"),
    ({"messageType": "x" * 33}, 1005, "messageType"),
    ({"content": ABSENT}, 1002, "content is missing"),
    ({"content": ""}, 1002, "content"),
    ({"content": "a\0b"}, 1002, "NUL"),
    ({"content": "x" * 131_073}, 1005, "maxContentBytes"),
    ({"content": "é" * 65_537}, 1005, "maxContentBytes"),
    (b'{"content":"\\ud800","channelType":1}', 1002, "not a JSON object"),
    ({"sentAt": ABSENT}, 1002, "sentAt is missing"),
    ({"sentAt": "1700000000000"}, 1002, "sentAt"),
    ({"sentAt": 1.5}, 1002, "sentAt"),
    ({"sentAt": -1}, 1002, "sentAt"),
    ({"sentAt": 1_700_000_000}, 1002, "not seconds"),
    ({"sentAt": 10**15}, 1002, "sentAt"),
    ({"sentAt": SOON}, 1002, "is after now"),
    ({"clientMessageId": ""}, 1002, "clientMessageId"),
    ({"clientMessageId": "x" * 65}, 1005, "clientMessageId"),
    ({"toUserIds": ["bob"]}, 1002, "toUserIds goes with a group"),
    ({"toUserIds": []}, 1002, "toUserIds"),
    ({"isEchoToSender": 2}, 1002, "isEchoToSender"),
    ({"shouldPersist": True}, 1002, "shouldPersist"),
    ({"shouldPersist": 0}, 1002, "nobody would ever be given"),
    ({"hasMetadata": 1}, 1002, "hasMetadata"),
    ({"metadata": {"x" * 33: "a"}}, 1005, "metadata"),
    ({"metadata": {"a": "x" * 4_097}}, 1005, "metadata.a"),
    ({"deliver": 1}, 1002, "deliver"),
    ({"channelType": 3, "channelId": "nope"}, 404, "There is no group 'nope'"),
    ({"channelType": 4, "channelId": "nope"}, 404, "There is no open channel 'nope'"),
    ({"content": "media:[BQAAAAAAAAAAAAAAAAAAAAA]"}, 1002, "file that is not there"),
    ({"sentAt": 1_600_000_000_000}, 1002, "below the channel's last position"),
]


def wrong_line(api: Api, at: int, wrong: dict[str, Any] | bytes) -> dict[str, Any] | bytes:
    """The line with what is wrong in it."""
    if isinstance(wrong, bytes):
        return wrong
    return line(at, **{**wrong, **({"sentAt": api.now_ms + 1} if wrong.get("sentAt") == SOON else {})})


async def test_each_bad_line_is_refused_by_its_number_and_its_neighbours_are_stored(api: Api) -> None:
    """In one stream: a good line before and after each of them."""
    at = api.now_ms - DAY_MS
    stream: list[dict[str, Any] | bytes] = []
    for n, (wrong, _, _) in enumerate(WRONG):
        stream += [line(at + 10 * n, content=f"good {n}"), wrong_line(api, at + 10 * n, wrong)]
    refused, summary = await imported(api, packed(*stream, line(at + DAY_MS - 1, content="last")))
    assert [one["line"] for one in refused] == [2 * n + 2 for n in range(len(WRONG))]
    for one, (wrong, code, words) in zip(refused, WRONG, strict=True):
        assert set(one) == {"line", "code", "errorMessage"}
        assert (one["code"], words in one["errorMessage"]) == (code, True), (wrong, one)
    good = len(WRONG) + 1
    assert summary == done(good + len(WRONG), good, refused=len(WRONG))
    contents = [row["content"] for row in await api.rows("SELECT content FROM messages ORDER BY position")]
    assert contents == [*(f"good {n}" for n in range(len(WRONG))), "last"]
    channels = await api.rows("SELECT key FROM channels")
    assert [row["key"] for row in channels] == [["ann", "bob"]]


async def test_a_bad_line_alone_changes_nothing(api: Api) -> None:
    before = await api.everything()
    for wrong, code, _ in WRONG[:-1]:
        refused, summary = await imported(api, packed(wrong_line(api, api.now_ms, wrong)))
        assert ([item["code"] for item in refused], summary) == ([code], done(1, 0, refused=1)), wrong
    assert await api.everything() == before


async def test_where_storage_is_off_only_what_is_delivered_is_taken(api: Api) -> None:
    await api.set(directGroupStorage=False)
    refused, summary = await imported(api, packed(line(api.now_ms), line(api.now_ms, deliver=True)))
    assert (refused[0]["code"], "directGroupStorage" in refused[0]["errorMessage"]) == (1009, True)
    assert summary == done(2, 1, refused=1)
    assert await api.given() == [("hello", "missed")]


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        (b"\n".join, 2),
        (lambda lines: b"\n".join(lines) + b"\n", 2),
        (lambda lines: b"\r\n".join(lines) + b"\r\n", 2),
        (lambda lines: b"\xef\xbb\xbf" + b"\n".join(lines), 2),
        (lambda lines: b"\n\n \n".join(lines) + b"\n\t\n", 2),
        (lambda lines: b"\n".join(b" " + one + b" " for one in lines), 2),
        (lambda _: b"", 0),
        (lambda _: b"\n\n", 0),
    ],
)
async def test_lines_end_as_they_like(api: Api, form: Any, lines: int) -> None:
    data = form([json.dumps(line(api.now_ms, content="é \u2028")).encode() for _ in range(2)])
    assert await imported(api, data) == ([], done(lines, lines))


async def test_blank_lines_count_for_the_numbers_of_the_others(api: Api) -> None:
    refused, _ = await imported(api, b"\n\nnot json\n\n" + packed(line(api.now_ms)) + b"wrong")
    assert [one["line"] for one in refused] == [3, 6]


async def test_blank_lines_are_passed_over_without_a_look_at_each(api: Api) -> None:
    """A few bytes unpack to millions of them; alone, and around lines that are wrong, and of blanks of all kinds."""
    read, looks = lines_module.Lines(await api.client.app[SERVICES].apps.find(api.keys.app_key)), 0
    blank = b"\n" * 20_000 + b" \t\r\x0b\n\r\n" * 10_000
    chunks = [blank, blank + b"wrong\n" + blank + b"  wrong" + blank, b"\n\n", blank[:-1] + b"wrong"]
    expected = [number for number, one in enumerate(b"".join(chunks).split(b"\n"), 1) if one.strip()]

    def looking(*_: object) -> None:
        nonlocal looks
        looks += 1

    sys.setprofile(looking)
    try:
        for chunk in chunks:
            read.feed(chunk, now=api.now_ms)
        read.end(now=api.now_ms)
    finally:
        sys.setprofile(None)
    _, refused = read.take()
    assert [number for number, _ in refused] == expected
    assert len(expected) == 3
    assert looks < 1_000


async def test_a_message_stands_on_one_line(api: Api) -> None:
    """Over two lines it is two bad ones; and two on one line are a bad one, also where the numbers would come out right."""
    whole = json.dumps(line(api.now_ms)).encode()
    for stream in (
        whole.replace(b", ", b",\n", 1) + b"\n" + whole + whole + b"\n",
        whole + whole + b"\n" + whole.replace(b'{"', b'{\n"') + b"\n",
    ):
        refused, summary = await imported(api, stream)
        assert [one["line"] for one in refused] == [1, 2, 3]
        assert summary == done(3, 0, refused=3)


async def test_a_stream_may_be_packed_and_larger_than_any_request(api: Api) -> None:
    at = api.now_ms - DAY_MS
    stream = packed(*(line(at + n, content="x" * 100_000) for n in range(100)))
    assert len(stream) > 9 * 1024 * 1024
    assert await imported(api, gzip.compress(stream), Content_Encoding="gzip") == ([], done(100, 100))


async def test_a_line_that_is_too_long_is_passed_over(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_LINE_BYTES", 100_000)
    long = line(api.now_ms, more="x" * 400_000)
    for stream in (
        packed(line(api.now_ms), long, line(api.now_ms)),
        packed(line(api.now_ms), line(api.now_ms), long)[:-1],
    ):
        refused, summary = await imported(api, stream)
        assert [(one["code"], "too long" in one["errorMessage"]) for one in refused] == [(1005, True)]
        assert summary == done(3, 2, refused=1)


async def test_batches_are_bounded_and_numbers_go_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the pieces in which the stream arrives."""
    monkeypatch.setattr(lines_module, "MOST_LINES", 50)
    sizes: list[int] = []
    commit = Imports.commit

    async def counting(self: Imports, app_key: str, lines: Sequence[Line], *, key_kept: int) -> Outcome:
        sizes.append(len(lines))
        return await commit(self, app_key, lines, key_kept=key_kept)

    monkeypatch.setattr(Imports, "commit", counting)
    at = api.now_ms - DAY_MS
    stream = packed(
        *(b"wrong" if n % 97 == 0 else line(at + n, clientMessageId=f"k{n}") for n in range(1, 1001))
    )

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), 3_333):
            yield stream[start : start + 3_333]

    refused, summary = await imported(api, pieces())
    assert [one["line"] for one in refused] == list(range(97, 1001, 97))
    assert summary == done(1000, 990, refused=10)
    assert max(sizes) <= 50
    assert sum(sizes) == 990
    assert await imported(api, stream) == (refused, done(1000, 0, 990, 10))


async def test_the_next_batch_is_read_while_the_database_is_at_one_and_no_further(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the caller sends as fast as it is stored, and memory does not grow."""
    monkeypatch.setattr(lines_module, "MOST_LINES", 10)
    let_go, read = asyncio.Event(), 0
    commit = Imports.commit

    async def slow(self: Imports, app_key: str, lines: Sequence[Line], *, key_kept: int) -> Outcome:
        await let_go.wait()
        return await commit(self, app_key, lines, key_kept=key_kept)

    monkeypatch.setattr(Imports, "commit", slow)

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for n in range(100):
            read += 1
            yield packed(line(api.now_ms - DAY_MS + n))

    services = api.client.app[SERVICES]
    batches = _batches(services, await services.apps.find(api.keys.app_key), chunks())

    async def all_of() -> list[int]:
        return [outcome.imported async for _, outcome in batches]

    task = asyncio.create_task(all_of())
    for _ in range(1_000):
        # nothing here waits for anything but the database
        await asyncio.sleep(0)
    assert read == 20
    let_go.set()
    assert await task == [10] * 10


async def test_a_caller_who_is_cut_off_leaves_whole_batches(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the line in the middle of which he went, nothing of a batch that was not whole."""
    monkeypatch.setattr(lines_module, "MOST_LINES", 100)
    three, batches = asyncio.Event(), 0
    commit = Imports.commit

    async def counting(self: Imports, app_key: str, lines: Sequence[Line], *, key_kept: int) -> Outcome:
        nonlocal batches
        outcome = await commit(self, app_key, lines, key_kept=key_kept)
        batches += 1
        if batches == 3:
            three.set()
        return outcome

    monkeypatch.setattr(Imports, "commit", counting)
    at = api.now_ms - DAY_MS
    stream = packed(*(line(at + n, clientMessageId=f"k{n}", content="x" * 1_000) for n in range(1_000)))
    _, writer = await asyncio.open_connection(api.client.server.host, api.client.server.port)
    head = {**signed(api.keys, timestamp=api.now_ms), "Host": "x", "Content-Length": str(len(stream))}
    writer.write(f"POST {IMPORT} HTTP/1.1\r\n".encode())
    writer.write("".join(f"{name}: {value}\r\n" for name, value in head.items()).encode() + b"\r\n")
    writer.write(stream[: len(stream) // 2 + 17])
    await writer.drain()
    await three.wait()
    writer.transport.abort()
    room = api.client.app[SERVICES].imports.room
    await until(lambda: not room.streams)
    count = (await api.rows("SELECT count(*) AS count FROM messages"))[0]["count"]
    assert count % 100 == 0
    assert 300 <= count <= 500
    assert await imported(api, stream) == ([], done(1_000, 1_000 - count, count))


async def test_a_database_that_goes_away_stops_the_import_and_the_same_again_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MOST_LINES", 10)
    at = api.now_ms - DAY_MS
    stream = packed(*(line(at + n, clientMessageId=f"k{n}") for n in range(40)))
    with monkeypatch.context() as patch:
        commit, calls = Imports.commit, [0]

        async def failing(self: Imports, app_key: str, lines: Sequence[Line], *, key_kept: int) -> Outcome:
            calls[0] += 1
            if calls[0] == 3:
                raise DatabaseUnavailable("The database does not answer; try again in a few seconds.")
            return await commit(self, app_key, lines, key_kept=key_kept)

        patch.setattr(Imports, "commit", failing)
        refused, summary = await imported(api, stream)
    assert refused == []
    assert summary == {
        "complete": False,
        "lines": 20,
        "imported": 20,
        "alreadyThere": 0,
        "refused": 0,
        "code": 1000,
        "errorMessage": "The database does not answer; try again in a few seconds.",
    }
    assert await imported(api, stream) == ([], done(40, 20, 20))


async def test_what_fails_here_is_told_without_detail(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*_: object) -> Outcome:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(Imports, "_store", failing)
    refused, summary = await imported(api, packed(line(api.now_ms)))
    assert (refused[0]["code"], "secret" in json.dumps(refused)) == (1000, False)
    assert summary == done(1, 0, refused=1)


async def test_too_many_imports_at_a_time_are_503(api: Api) -> None:
    room = api.client.app[SERVICES].imports.room
    with ExitStack() as under_way:
        for _ in range(16):
            under_way.enter_context(room.taken())
        (await api.raw(IMPORT, packed(line(api.now_ms)))).refused(503, 1000, "imports")
    assert await imported(api, packed(line(api.now_ms))) == ([], done(1, 1))


def test_a_batch_is_as_large_as_it_is_documented() -> None:
    assert (model.MOST_LINES, model.MOST_BYTES) == (10_000, 4 * 1024 * 1024)
