"""Who may call: API and admin keys, app secrets, and users' access tokens, all of them hashed or sealed."""

from __future__ import annotations

from uuid import uuid4

import pytest

from history.apps.model import key_hash
from history.apps.service import USED_EVERY
from history.axis import DAY, SECOND
from history.errors import BadKey, InvalidInput, NotFound, UnknownApp
from tests.factories import NOON, World, open_world


async def _stored_anywhere(world: World, text: str) -> bool:
    """Whether a row of these tables holds the text, as it is or as bytes."""
    rows = await world.rows(
        "SELECT a::text AS row FROM apps a UNION ALL SELECT k::text FROM keys k UNION ALL SELECT t::text FROM tokens t"
    )
    assert rows
    return any(form in row["row"] for row in rows for form in (text, text.encode().hex()))


# tokens --------------------------------------------------------------------------------------------------------------


async def test_a_token_says_whose_it_is_and_is_stored_hashed(world: World) -> None:
    """Each issue is another one, and the older stays good."""
    app = await world.apps.find(world.app_key)
    first, second = [await world.apps.issue_token(app, "ann") for _ in range(2)]
    for text in (first, second):
        token = await world.apps.find_token(text)
        assert (token.app_key, token.user_id) == (world.app_key, "ann")
        assert not await _stored_anywhere(world, text)
    assert await world.value("SELECT count(*) FROM tokens WHERE hash = $1", key_hash(first)) == 1
    for stranger in (first[:-1], first + "x", "", "tm_user_\ud800"):
        with pytest.raises(BadKey):
            await world.apps.find_token(stranger)


async def test_a_token_ends_after_the_days_of_the_app(world: World) -> None:
    """The last instant and the one after; a later setting changes only later tokens."""
    await world.set(token_days=2)
    text = await world.apps.issue_token(await world.apps.find(world.app_key), "ann")
    await world.set(token_days=9)
    world.clock.set(NOON + 2 * DAY - 1)
    await world.apps.find_token(text)
    world.clock.advance(1)
    with pytest.raises(BadKey):
        await world.apps.find_token(text)


async def test_expiring_tokens_lets_them_end_then_and_never_later(world: World) -> None:
    """All that these users have now; another user's, another app's and a later one stay."""
    app = await world.apps.find(world.app_key)
    mine, other = await world.apps.issue_token(app, "ann"), await world.apps.issue_token(app, "bob")
    async with open_world(world.url) as stranger:
        theirs = await stranger.apps.issue_token(await stranger.apps.find(stranger.app_key), "ann")
        await world.apps.expire_tokens(world.app_key, ["ann", "eve"], at=NOON + DAY)
        later = await world.apps.issue_token(app, "ann")
        await world.apps.expire_tokens(world.app_key, ["bob"], at=NOON + 10_000 * DAY)
        world.clock.set(NOON + DAY - 1)
        await world.apps.find_token(mine)
        world.clock.advance(1)
        with pytest.raises(BadKey):
            await world.apps.find_token(mine)
        for text in (other, later, theirs):
            await world.apps.find_token(text)
    world.clock.set(NOON + 365 * DAY)
    with pytest.raises(BadKey):
        await world.apps.find_token(other)
    await world.apps.expire_tokens(world.app_key, ["ann"], at=0)
    with pytest.raises(BadKey):
        await world.apps.find_token(later)


# keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "own", "read_only"), [("api", True, False), ("admin", True, True), ("admin", False, False)]
)
async def test_a_key_has_its_scope_and_is_stored_hashed(
    world: World, *, kind: str, own: bool, read_only: bool
) -> None:
    """Of one app or of all, full or read-only."""
    app_key = world.app_key if own else None
    text, made = await world.apps.create_key("mine", kind=kind, app_key=app_key, read_only=read_only)
    found = await world.apps.find_key(text, kind=kind)
    assert (found.id, found.kind, found.app_key, found.read_only) == (made.id, kind, app_key, read_only)
    with pytest.raises(BadKey):
        await world.apps.find_key(text, kind="admin" if kind == "api" else "api")
    assert text.startswith(f"tm_{kind}_")
    assert not await _stored_anywhere(world, text)


async def test_keys_of_an_app_are_listed_with_their_last_use(world: World) -> None:
    """Oldest first; admin keys for all apps and another app's are not among them."""
    world.clock.advance(SECOND)
    text, _ = await world.apps.create_key("second", kind="admin", app_key=world.app_key, read_only=True)
    await world.apps.create_key("all", kind="admin", app_key=None)
    await world.apps.create_key("other", kind="api", app_key=(await world.apps.create("other")).app_key)
    assert [(key.name, key.last_used_at) for key in await world.apps.list_keys(world.app_key)] == [
        ("first", None),
        ("second", None),
    ]
    used = world.clock.now()
    for step, shown in ((0, used), (USED_EVERY, used), (1, used + USED_EVERY + 1)):
        world.clock.advance(step)
        await world.apps.find_key(text, kind="admin")
        assert (await world.apps.list_keys(world.app_key))[1].last_used_at == shown


async def test_a_revoked_key_opens_nothing_and_only_it(world: World) -> None:
    """By its app and id; an unknown one, and another app's, is not found."""
    text, key = await world.apps.create_key("mine", kind="api", app_key=world.app_key)
    kept, _ = await world.apps.create_key("kept", kind="api", app_key=world.app_key)
    other = (await world.apps.create("other")).app_key
    for app_key, id_ in ((other, key.id), (world.app_key, uuid4())):
        with pytest.raises(NotFound):
            await world.apps.revoke_key(app_key, id_)
    await world.apps.find_key(text, kind="api")
    await world.apps.revoke_key(world.app_key, key.id)
    with pytest.raises(BadKey):
        await world.apps.find_key(text, kind="api")
    await world.apps.find_key(kept, kind="api")


async def test_admin_keys_for_all_apps_are_a_list_of_their_own(world: World) -> None:
    """Revoked there alone: no app can take them away."""
    text, key = await world.apps.create_key("all", kind="admin", app_key=None)
    assert [one.id for one in await world.apps.list_keys(None)] == [key.id]
    with pytest.raises(NotFound):
        await world.apps.revoke_key(world.app_key, key.id)
    (own,) = await world.apps.list_keys(world.app_key)
    with pytest.raises(NotFound):
        await world.apps.revoke_key(None, own.id)
    await world.apps.find_key(text, kind="admin")
    await world.apps.revoke_key(None, key.id)
    with pytest.raises(BadKey):
        await world.apps.find_key(text, kind="admin")


async def test_a_key_needs_its_app_and_a_name(world: World) -> None:
    """Nothing is made otherwise."""
    for name in ("", "x" * 65, "nul\x00"):
        with pytest.raises(InvalidInput):
            await world.apps.create_key(name, kind="api", app_key=world.app_key)
    for app_key in ("none", "n\x00ne"):
        with pytest.raises(NotFound):
            await world.apps.create_key("mine", kind="api", app_key=app_key)
        with pytest.raises(NotFound):
            await world.apps.list_keys(app_key)
    assert len(await world.apps.list_keys(world.app_key)) == 1


# the app's secret ----------------------------------------------------------------------------------------------------


async def test_the_secret_before_stays_good_for_the_overlap(world: World) -> None:
    """And not an instant longer; both are sealed."""
    before = (await world.apps.find(world.app_key)).secret
    after = await world.apps.rotate_secret(world.app_key, overlap_seconds=60)
    app = await world.apps.find(world.app_key)
    assert (app.secret, app.previous_secret) == (after, before)
    assert before != after
    assert not await _stored_anywhere(world, after)
    assert not await _stored_anywhere(world, before)
    world.clock.set(NOON + 60 * SECOND - 1)
    assert (await world.apps.find(world.app_key)).previous_secret == before
    world.clock.set(NOON + 62 * SECOND)
    assert (await world.apps.find(world.app_key)).previous_secret is None


async def test_without_an_overlap_the_secret_before_is_bad_at_once(world: World) -> None:
    """As after a leak; and a second rotation forgets the one before the last."""
    await world.apps.rotate_secret(world.app_key, overlap_seconds=60)
    second = await world.apps.rotate_secret(world.app_key, overlap_seconds=0)
    app = await world.apps.find(world.app_key)
    assert (app.secret, app.previous_secret) == (second, None)
    third = await world.apps.rotate_secret(world.app_key, overlap_seconds=60)
    app = await world.apps.find(world.app_key)
    assert (app.secret, app.previous_secret) == (third, second)


async def test_another_process_has_a_new_secret_within_a_second(world: World) -> None:
    """What it remembers is a second old at most."""
    async with world.twin() as twin:
        await twin.apps.find(world.app_key)
        after = await world.apps.rotate_secret(world.app_key)
        world.clock.advance(SECOND)
        assert (await twin.apps.find(world.app_key)).secret == after


async def test_a_secret_of_no_app_is_not_rotated(world: World) -> None:
    """And the others stay."""
    before = (await world.apps.find(world.app_key)).secret
    with pytest.raises(NotFound):
        await world.apps.rotate_secret("none")
    world.clock.advance(SECOND)
    assert (await world.apps.find(world.app_key)).secret == before


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800", "é" * 12, "a" * 400])
async def test_what_is_no_app_key_is_no_app(world: World, text: str) -> None:
    """Whatever is asked; Postgres, which cannot be asked for some of these, is not."""
    apps = world.apps
    for work in (
        apps.settings(text),
        apps.change(text, {"undo_seconds": 1}),
        apps.rotate_secret(text),
        apps.revoke_key(text, uuid4()),
        apps.list_keys(text),
        apps.create_key("one", kind="api", app_key=text),
    ):
        with pytest.raises(NotFound, match="no app"):
            await work
    with pytest.raises(UnknownApp):
        await apps.find(text)
    with pytest.raises(NotFound):
        apps.check(text)
    apps.check(world.app_key)
