"""Who may call: the four headers, in every form that clients of the field send them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from history.apps.model import seal
from history.axis import MILLISECOND, SECOND
from server.calls import SERVICES
from tests.api.client import HISTORY, SYNC, Api, Keys, open_api, signed
from tests.factories import MASTER_KEY

BODY = {"userId": "bob", "deviceId": "phone"}
VECTOR = {
    "Nonce": "14314",
    "Timestamp": "1408710653000",
    "Signature": "30be0bbca9c9b2e27578701e9fda2358a814c88f",
}
VECTOR_SECRET = "Y1W2MeFwwwRxa0"


async def ask(api: Api, headers: dict[str, str]) -> Any:
    return await api.request("POST", SYNC, data=b'{"userId":"bob","deviceId":"phone"}', headers=headers)


async def give_secret(api: Api, secret: str) -> None:
    sealed = seal(MASTER_KEY, api.keys.app_key, secret)
    await api.rows("UPDATE apps SET secret = $2 WHERE app_key = $1", api.keys.app_key, sealed)


async def test_the_printed_vector_is_accepted(api: Api) -> None:
    await give_secret(api, VECTOR_SECRET)
    (await ask(api, {"App-Key": api.keys.app_key, **VECTOR})).done()
    wrong = {**VECTOR, "Signature": VECTOR["Signature"][:-1] + "e"}
    (await ask(api, {"App-Key": api.keys.app_key, **wrong})).refused(401, 1004, "Signature")


@pytest.mark.parametrize("case", [str, str.lower, str.upper], ids=["as written", "lower", "upper"])
@pytest.mark.parametrize("twins", [False, True], ids=["plain", "RC-"])
async def test_headers_and_their_twins_in_any_case(api: Api, twins: bool, case: Any) -> None:
    headers = signed(api.keys, timestamp=api.now_ms, twins=twins)
    (await ask(api, {case(name): value for name, value in headers.items()})).done()


async def test_plain_headers_and_twins_may_be_mixed(api: Api) -> None:
    plain = signed(api.keys, timestamp=api.now_ms)
    mixed = {f"RC-{name}" if name in ("Nonce", "App-Key") else name: value for name, value in plain.items()}
    (await ask(api, mixed)).done()


async def test_seconds_milliseconds_and_ages_are_the_same_where_no_window_is_set(api: Api) -> None:
    for timestamp in (api.now_ms, api.now_ms // 1000, 1408710653, 0, 10**17, "yesterday"):
        (await ask(api, signed(api.keys, timestamp=timestamp))).done()


async def test_the_same_triple_is_accepted_again_and_again(api: Api) -> None:
    headers = signed(api.keys, timestamp=api.now_ms)
    for _ in range(3):
        (await ask(api, headers)).done()


async def test_nonces_of_other_sdks_are_accepted_up_to_128_characters(api: Api) -> None:
    for nonce in ("0.9830238164494637", "493021.1234567890", "9" * 19, "n" * 128):
        (await ask(api, signed(api.keys, nonce=nonce, timestamp=1))).done()
    (await ask(api, signed(api.keys, nonce="n" * 129, timestamp=1))).refused(401, 1004)


async def test_a_signature_in_capitals_is_the_same_number(api: Api) -> None:
    headers = signed(api.keys, timestamp=1)
    (await ask(api, {**headers, "Signature": headers["Signature"].upper()})).done()


@pytest.mark.parametrize("name", ["App-Key", "Nonce", "Timestamp", "Signature"])
async def test_a_missing_or_empty_header_is_refused(api: Api, name: str) -> None:
    headers = signed(api.keys, timestamp=api.now_ms)
    (await ask(api, {**headers, name: ""})).refused(401, 1004, name)
    del headers[name]
    (await ask(api, headers)).refused(401, 1004, name)


@pytest.mark.parametrize("name", ["Nonce", "Timestamp", "Signature"])
async def test_a_header_that_was_not_signed_is_refused(api: Api, name: str) -> None:
    headers = signed(api.keys, timestamp=api.now_ms)
    (await ask(api, {**headers, name: headers[name] + "1"})).refused(401, 1004)


async def test_an_unknown_app_is_refused(api: Api) -> None:
    keys = Keys(app_key="nosuchapp", secret=api.keys.secret)
    (await ask(api, signed(keys, timestamp=1))).refused(401, 1001, "App-Key")


@pytest.mark.parametrize("name", ["App-Key", "Nonce", "Timestamp", "Signature"])
async def test_bytes_that_are_no_text_are_refused(api: Api, name: str) -> None:
    headers = {**signed(api.keys, timestamp=1), name: "\udcff\udcfe"}
    assert (await ask(api, headers)).status == 401


async def test_another_apps_secret_opens_nothing(api: Api) -> None:
    other = await api.new_app()
    crossed = Keys(app_key=api.keys.app_key, secret=other.secret)
    (await ask(api, signed(crossed, timestamp=1))).refused(401, 1004)


async def test_who_calls_is_asked_before_the_body_is_looked_at(api: Api) -> None:
    (await api.request("POST", HISTORY, data=b"not json")).refused(401, 1004)


@pytest.mark.parametrize("unit", [SECOND, MILLISECOND], ids=["seconds", "milliseconds"])
@pytest.mark.parametrize("sign", [-1, 1], ids=["past", "future"])
async def test_a_window_admits_its_edge_and_nothing_beyond(api: Api, unit: int, sign: int) -> None:
    await api.set(signatureMaxAgeSeconds=300)
    edge = (api.clock.now() + sign * 300 * SECOND) // unit
    (await ask(api, signed(api.keys, timestamp=edge))).done()
    (await ask(api, signed(api.keys, timestamp=edge + sign))).refused(401, 1004, "Timestamp")


@pytest.mark.parametrize(
    "timestamp",
    ["soon", "-1", "1.5", "9" * 40, "\uff11\uff17\uff17\uff13\uff11\uff14\uff14\uff10\uff10\uff10"],
)
async def test_a_window_wants_a_number(api: Api, timestamp: str) -> None:
    await api.set(signatureMaxAgeSeconds=300)
    (await ask(api, signed(api.keys, timestamp=timestamp))).refused(401, 1004, "Timestamp")


async def test_a_nonce_counts_once_where_replays_are_refused(api: Api, redis_url: str) -> None:
    await api.set(rejectReplayedNonces=True)
    headers = signed(api.keys, timestamp=api.now_ms)
    (await ask(api, headers)).done()
    (await ask(api, headers)).refused(401, 1004, "Nonce")
    async with open_api(api.database_url, redis_url, like=api) as second:
        (await ask(second, headers)).refused(401, 1004, "Nonce")
        (await ask(second, signed(api.keys, timestamp=api.now_ms))).done()


async def test_another_apps_nonce_is_another_nonce(api: Api) -> None:
    other = await api.new_app()
    await api.set(rejectReplayedNonces=True)
    await api.admin("PATCH", f"/admin/apps/{other.app_key}/settings", {"rejectReplayedNonces": True})
    for keys in (api.keys, other):
        (await ask(api, signed(keys, nonce="one", timestamp=1))).done()


async def test_a_wrong_signature_does_not_use_up_the_nonce(api: Api) -> None:
    await api.set(rejectReplayedNonces=True)
    headers = signed(api.keys, nonce="mine", timestamp=1)
    (await ask(api, {**headers, "Signature": "0" * 40})).refused(401, 1004)
    (await ask(api, headers)).done()


async def test_without_redis_nonces_cannot_be_checked_so_the_call_waits(api: Api) -> None:
    async with open_api(api.database_url, "unix:///nonexistent/redis.sock", like=api) as alone:
        (await ask(alone, signed(api.keys, timestamp=1))).done()
        await alone.set(rejectReplayedNonces=True)
        for _ in range(2):
            answer = await ask(alone, signed(api.keys, timestamp=1))
            answer.refused(503, 1000, "Redis")
            assert answer.headers["Retry-After"] == "1"


async def test_a_rotated_secret_counts_at_once_here_and_within_a_second_elsewhere(
    api: Api, redis_url: str
) -> None:
    async with open_api(api.database_url, redis_url, like=api, clock=api.clock) as second:
        (await ask(second, signed(api.keys, timestamp=1))).done()
        secret = await api.client.app[SERVICES].apps.rotate_secret(api.keys.app_key)
        new = Keys(app_key=api.keys.app_key, secret=secret)
        (await ask(api, signed(api.keys, timestamp=1))).refused(401, 1004)
        (await ask(api, signed(new, timestamp=1))).done()
        api.clock.advance(SECOND)
        (await ask(second, signed(api.keys, timestamp=1))).refused(401, 1004)
        (await ask(second, signed(new, timestamp=1))).done()


def test_the_vector_is_what_it_says() -> None:
    text = f"{VECTOR_SECRET}{VECTOR['Nonce']}{VECTOR['Timestamp']}"
    assert hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() == VECTOR["Signature"]
