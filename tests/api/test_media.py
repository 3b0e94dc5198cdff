"""Files over HTTP: uploads as streams, ranges, caching, headers that no browser runs, and who is let in."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from server.calls import SERVICES
from tests.api.client import Answer, Api, open_api

DATA = bytes(range(256)) * 40
KEPT = "/admin/apps/{}/media?kept=true"


async def token_of(api: Api, user: str) -> str:
    """An access token of a user."""
    token: str = (await api.do("auth/access-token/issue", userId=user, name=user))["accessToken"]
    return token


async def get(api: Api, key: str, id_: str, method: str = "GET", **headers: str) -> Answer:
    """A file."""
    given = {
        "Authorization": f"Bearer {key}",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    return await api.request(method, f"/v1/media/{id_}", headers=given)


async def uploaded(api: Api, data: bytes = DATA, *, key: str | None = None, type_: str = "image/png") -> str:
    """The id of a file."""
    answer = await api.upload(key or api.keys.api_key, data, type_=type_)
    assert answer.status == 200, answer.body
    id_: str = answer.json["id"]
    return id_


async def test_an_upload_answers_what_it_took(api: Api) -> None:
    answer = await api.upload(api.keys.api_key, DATA, type_="Image/PNG; x=y")
    assert answer.json == {
        "id": answer.json["id"],
        "bytes": len(DATA),
        "type": "image/png",
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }


@pytest.mark.parametrize("size", [1, 65_536, 4 * 1024 * 1024 + 1, 9 * 1024 * 1024])
async def test_a_file_comes_back_as_it_was_sent_whatever_its_size(api: Api, size: int) -> None:
    """Above the size of any other request too."""
    data = hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1)
    id_ = await uploaded(api, data[:size])
    answer = await get(api, api.keys.api_key, id_)
    assert (answer.status, answer.body) == (200, data[:size])


async def test_a_body_that_comes_in_chunks_of_unknown_length_is_taken_up_to_the_limit(api: Api) -> None:
    await api.set(mediaMaxBytes=1_000_000)

    async def chunks(number: int) -> AsyncIterator[bytes]:
        for _ in range(number):
            yield b"x" * 100_000

    headers = {"Authorization": api.keys.api_key, "Content-Type": "text/plain"}
    answer = await api.request("POST", "/v1/media", data=chunks(10), headers=headers)
    assert answer.json["bytes"] == 1_000_000
    api.client.app[SERVICES].apps._cached.clear()
    too_long = await api.request("POST", "/v1/media", data=chunks(11), headers=headers)
    too_long.refused(400, 1005, "at most 1000000 bytes", "mediaMaxBytes")
    assert len(await api.rows("SELECT 1 FROM media")) == 1


async def test_what_may_not_be_taken_is_refused_with_a_sentence(api: Api) -> None:
    key = api.keys.api_key
    (await api.upload(key, b"")).refused(400, 1002, "empty")
    (await api.upload(key, b"x", type_="nothing")).refused(400, 1002, "Content-Type")
    await api.set(mediaTypes="image/*", mediaMaxBytes=3)
    api.client.app[SERVICES].apps._cached.clear()
    (await api.upload(key, b"x")).refused(400, 1002, "mediaTypes")
    (await api.upload(key, b"xxxx", type_="image/png")).refused(400, 1005)
    await api.set(mediaMaxBytes=0)
    api.client.app[SERVICES].apps._cached.clear()
    (await api.upload(key, b"x", type_="image/png")).refused(430, 1009, "mediaMaxBytes")
    assert await api.rows("SELECT 1 FROM media") == []


async def test_without_a_place_for_files_none_is_taken(database_url: str, redis_url: str) -> None:
    async with open_api(database_url, redis_url, media="") as api:
        (await api.upload(api.keys.api_key, b"x")).refused(430, 1009, "TIDEMARK_MEDIA_DIR")


async def test_no_browser_runs_or_keeps_a_file(api: Api) -> None:
    page = b"<script>alert(1)</script>"
    for type_, told in (
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
    ):
        answer = await get(api, api.keys.api_key, await uploaded(api, page, type_=type_))
        assert answer.headers["Content-Type"] == told
    answer = await get(api, api.keys.api_key, await uploaded(api))
    expected = {
        "Content-Type": "image/png",
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization",
        "ETag": f'"{hashlib.sha256(DATA).hexdigest()}"',
        "Content-Length": str(len(DATA)),
        "Accept-Ranges": "bytes",
    }
    assert {name: answer.headers[name] for name in expected} == expected


RANGES: dict[str, tuple[int, int] | None] = {
    "bytes=0-0": (0, 1),
    "bytes=5-9": (5, 10),
    "bytes=10200-": (10_200, 10_240),
    "bytes=-40": (10_200, 10_240),
    "bytes=-99999": (0, 10_240),
    "bytes=10239-99999": (10_239, 10_240),
    "bytes=10240-": None,
    "bytes=-0": None,
}


@pytest.mark.parametrize("asked", RANGES)
async def test_a_range_is_that_range(api: Api, asked: str) -> None:
    id_ = await uploaded(api)
    answer = await get(api, api.keys.api_key, id_, Range=asked)
    stretch = RANGES[asked]
    if stretch is None:
        answer.refused(416, 1002, "10240 bytes")
        assert answer.headers["Content-Range"] == "bytes */10240"
        return
    first, end = stretch
    assert answer.body == DATA[first:end]
    if end - first < len(DATA):
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/10240"
        assert answer.headers["Content-Length"] == str(end - first)


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=-", "bytes=1-2,5-6", "lines=1-2", "bytes=a-b", "bytes=1"]
)
async def test_what_is_no_single_range_is_the_whole_file(api: Api, asked: str) -> None:
    answer = await get(api, api.keys.api_key, await uploaded(api), Range=asked)
    assert (answer.status, answer.body) == (200, DATA)


async def test_who_has_the_file_is_told_so_and_a_range_of_another_file_is_the_whole(api: Api) -> None:
    id_, key = await uploaded(api), api.keys.api_key
    etag = (await get(api, key, id_)).headers["ETag"]
    for text in (etag, f'"x", W/{etag}', "*"):
        answer = await get(api, key, id_, If_None_Match=text)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
    assert (await get(api, key, id_, If_None_Match='"x"')).status == 200
    assert (await get(api, key, id_, Range="bytes=0-1", If_Range=etag)).status == 206
    assert (await get(api, key, id_, Range="bytes=0-1", If_Range='"x"')).body == DATA


async def test_head_tells_all_but_the_bytes(api: Api) -> None:
    answer = await get(api, api.keys.api_key, await uploaded(api), "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(DATA))


async def test_who_may_not_read_a_file_is_told_what_one_is_told_who_names_none(api: Api) -> None:
    ann, bob, eve = [await token_of(api, user) for user in ("ann", "bob", "eve")]
    other = await api.new_app()
    id_ = await uploaded(api, key=ann)
    assert (await get(api, ann, id_)).body == DATA
    nothing = (await get(api, bob, "nothing")).refused(404, 404)
    assert (await get(api, bob, id_)).refused(404, 404) == nothing
    await api.send("ann", content=f"media:[{id_}]")
    assert (await get(api, bob, id_)).body == DATA
    for key in (eve, other.api_key, await token_of(api.of(other), "bob")):
        assert (await get(api, key, id_)).refused(404, 404) == nothing
    assert (await get(api, api.keys.api_key, id_)).body == DATA


async def test_a_message_that_refers_to_nothing_is_refused(api: Api) -> None:
    id_ = await uploaded(api)
    other = await api.new_app()
    body: dict[str, Any] = {
        "fromUserId": "ann",
        "toUserIds": ["bob"],
        "messageType": "t",
        "content": f"media:[{id_}]",
    }
    path = "/v4/direct-channel/message/send"
    (await api.post(path, body, keys=other)).refused(400, 1002, "content", "not there")
    await api.of(other).send("ann", content="media:[x] is text")


async def test_a_clean_may_give_the_files_up_and_an_admin_sees_what_was_kept(api: Api) -> None:
    kept, given_up = await uploaded(api), await uploaded(api, b"12345")
    await api.do("group-channel/create", channelId="g", name="g", owner="ann", userIds=["bob"])
    body = {"fromUserId": "ann", "messageType": "t", "toChannelIds": ["g"], "content": f"media:[{kept}]"}
    await api.do("group-channel/message/send", **body)
    await api.send("ann", content=f"media:[{given_up}]")
    status = "channel/message/history/clean/status"
    answer = await api.clean("bob", "ann", deleteMedia=True)
    receipt = await api.do(status, requestId=answer.headers["Clean-Request-Id"])
    assert (receipt["deleteMedia"], receipt["reclaimedFiles"], receipt["reclaimedBytes"]) == (
        True,
        None,
        None,
    )
    answer = await api.post(
        "/v4/channel/message/history/clean", {"channelType": 3, "fromUserId": "ann", "channelId": "g"}
    )
    receipt = await api.do(status, requestId=answer.headers["Clean-Request-Id"])
    assert receipt["deleteMedia"] is False
    page = (await api.admin("GET", f"/admin/apps/{api.keys.app_key}/media")).json
    assert sorted(row["id"] for row in page["media"]) == sorted([kept, given_up])
    assert [row["kept"] for row in page["media"]] == [[], []]
    assert (await api.admin("GET", KEPT.format(api.keys.app_key))).json == {"media": []}
    for query in ("kept=maybe", "pageSize=0", "pageSize=x", "cursor=x"):
        (await api.admin("GET", f"/admin/apps/{api.keys.app_key}/media?{query}")).refused(400, 1002)
    path = f"/admin/apps/{api.keys.app_key}/media/{kept}"
    (await api.admin("DELETE", path)).refused(409, 409, "recall it first")
    assert (await get(api, api.keys.api_key, kept)).status == 200


async def test_a_store_that_does_not_answer_is_503_and_says_nothing_of_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_api(database_url, redis_url, media=str(tmp_path / "media")) as api:
        id_ = await uploaded(api)
        (folder,) = (tmp_path / "media").iterdir()
        folder.rename(tmp_path / "elsewhere")
        folder.write_bytes(b"in the way")
        sentence = (await api.upload(api.keys.api_key, DATA)).refused(503, 1000)
        assert str(tmp_path) not in sentence
        answer = await get(api, api.keys.api_key, id_)
        assert answer.status in (404, 503)
        assert _retry(answer.headers) or answer.status == 404


def _retry(headers: Mapping[str, str]) -> bool:
    return headers.get("Retry-After") == "1"
