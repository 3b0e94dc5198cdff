"""Who may call what on the surfaces: every route against every kind of credential, of its own app and of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.calls import Caller
from server.routes import ROUTES
from server.surfaces import ROUTES as SURFACE_ROUTES
from tests.api.bodies import NOBODY, make_scene
from tests.api.client import Answer, Api, Keys, signed
from tests.surfaces import ryze, tencent
from tests.surfaces.examples import examples, send

# what lets a caller of each kind in
ADMITTED = {
    Caller.APP: {"signature"},
    Caller.KEY: {"API key", "API key after Bearer"},
    Caller.BEARER: {"token"},
    Caller.USERSIG: {"UserSig"},
    Caller.INSTANCE: {
        "API key after Bearer",
        "API key as token",
        "instance's token",
        "instance's token after Bearer",
    },
}
CREDENTIALS = (
    "nobody",
    "signature",
    "signature by another app's secret",
    "API key",
    "API key after Bearer",
    "wrong key",
    "admin key",
    "admin key of this app",
    "token",
    "token, expired",
    "UserSig",
    "UserSig by another app's key",
    "UserSig of a user",
    "UserSig, expired",
    "API key as token",
    "wrong key as token",
    "admin key as token",
    "instance's token",
    "instance's token after Bearer",
    "instance's token of before",
    "instance's token of another instance",
)


async def token_of(api: Api, user: str = "bob") -> str:
    """An access token of a user."""
    token: str = (await api.do("auth/access-token/issue", userId=user, name=user))["accessToken"]
    return token


async def headers_of(api: Api, credential: str, other: Keys) -> dict[str, str]:
    """How a caller with this credential shows himself."""
    if credential == "nobody" or credential.startswith("UserSig"):
        return {}
    if credential.startswith("signature"):
        secret = other.secret if "another" in credential else api.keys.secret
        return signed(replace(api.keys, secret=secret), timestamp=api.now_ms)
    if credential.startswith("instance") or credential.endswith("as token"):
        return await ryze_headers_of(api, credential)
    text = api.keys.api_key
    if credential.startswith("token"):
        text = await token_of(api)
        if credential.endswith("expired"):
            await api.do("auth/access-token/expire", userIds=["bob"], expiresAt=api.now_ms)
    if credential == "wrong key":
        text = text[:-1] + "~"
    if credential.startswith("admin"):
        text = api.admin_key if credential == "admin key" else await api.key("admin")
    return {"Authorization": text if credential in ("API key", "wrong key") else f"Bearer {text}"}


async def ryze_headers_of(api: Api, credential: str) -> dict[str, str]:
    """A key in the header token, or the token of an instance."""
    if credential.endswith("as token"):
        key = api.admin_key if credential.startswith("admin") else api.keys.api_key
        return {"token": f"{key[:-1]}~" if credential.startswith("wrong") else key}
    text = await ryze.instance_token(api, "zoe" if "another instance" in credential else ryze.INSTANCE)
    if "before" in credential:
        await ryze.instance_token(api)
    return {"Authorization": f"Bearer {text}"} if "Bearer" in credential else {"token": text}


def query_of(api: Api, credential: str) -> dict[str, str]:
    """What of it stands in the URL."""
    if not credential.startswith("UserSig"):
        return {}
    now = api.now_ms // 1000
    identifier = "bob" if "user" in credential else tencent.ADMIN
    sig = tencent.usersig(
        now - 61 if "expired" in credential else now,
        key=tencent.KEY[::-1] if "another" in credential else tencent.KEY,
        identifier=identifier,
        expire=60,
    )
    return tencent.query(now, usersig=sig, identifier=identifier)


def refused(answer: Answer) -> bool:
    """By HTTP, or as Tencent does: in the body, by a code that all its calls have."""
    if answer.status == 200 and "ActionStatus" in answer.json:
        failed: bool = answer.json["ActionStatus"] == "FAIL"
        return failed and 60_000 <= answer.json["ErrorCode"] < 80_000
    return answer.status in (401, 403)


def test_every_route_of_a_surface_has_an_example_and_is_nowhere_else() -> None:
    there = {(route.method, route.path) for route in SURFACE_ROUTES}
    assert len(there) == len(SURFACE_ROUTES)
    assert there == set(examples(NOBODY, 0))
    assert not there & {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_each_credential_reaches_what_is_its_own_and_changes_nothing_else(
    api: Api, credential: str
) -> None:
    await api.set(cleanRateLimit=0)
    other, scene = await api.new_app(), await make_scene(api)
    await tencent.switch_on(api)
    await ryze.make_group(api)
    headers, query = await headers_of(api, credential, other), query_of(api, credential)
    ready = examples(scene, api.now_ms)
    before = await api.everything()
    for route in SURFACE_ROUTES:
        if credential not in ADMITTED.get(route.caller, ()):
            place = (route.method, route.path)
            answer = await send(api, place, ready[place], headers, **query)
            assert refused(answer), (place, answer.body)
    assert await api.everything() == before
    for route in SURFACE_ROUTES:
        if credential in ADMITTED.get(route.caller, ()):
            place = (route.method, route.path)
            answer = await send(api, place, ready[place], headers, **query)
            assert answer.status == route.status, (place, answer.body)
            assert not refused(answer), (place, answer.body)
