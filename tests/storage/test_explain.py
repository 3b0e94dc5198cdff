"""Why a message is where it is: the rule and the value that decided, and never another answer than the rules give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from history.axis import DAY, SECOND
from history.cursors import message_id
from history.errors import InvalidInput
from history.receipts.model import Verdict
from history.retention.model import EVERYONE
from tests.factories import NOON, World

Case = Callable[[World], Awaitable[int]]


def _short(verdicts: dict[str, Verdict]) -> dict[str, tuple[str, str]]:
    assert all(verdict.because.endswith(".") for verdict in verdicts.values())
    return {name: (verdict.outcome, verdict.rule) for name, verdict in verdicts.items()}


async def _agrees(world: World, position: int, user: str = "bob") -> None:
    """The words say what the rules do, for a device that has nothing."""
    verdicts = _short(await world.explain(world.channel(), position, user))
    shown = {name for name, (outcome, _) in verdicts.items() if outcome == "shown"}
    given = dict(await world.given(user, "new"))
    really = (
        {"history"} if position in await world.history(user, "bob" if user == "ann" else "ann") else set()
    )
    if position in given:
        really.add(given[position])
    assert shown == really
    assert (verdicts["disk"][0] == "kept") == (position in await world.stored())


async def _sent(world: World) -> int:
    return await world.send()


async def _received(world: World) -> int:
    sent = await world.send()
    await world.ack("bob", "ann", sent)
    return sent


async def _recalled(world: World) -> int:
    sent = await world.send()
    await world.recall(world.channel(), sent)
    return sent


async def _hidden(world: World) -> int:
    sent = await _received(world)
    await world.hide(world.channel(), "bob", sent)
    return sent


async def _unpersisted(world: World) -> int:
    return await world.send(persist=False)


async def _cleaned(world: World) -> int:
    sent = await _received(world)
    await world.clean("bob", "ann")
    return sent


async def _cleaned_with_flag(world: World) -> int:
    sent = await _received(world)
    await world.clean("bob", "ann", flag=True, everyone=True)
    await world.apply()
    return sent


async def _expired(world: World) -> int:
    sent = await world.send()
    world.clock.advance(7 * DAY + 1)
    return sent


async def _own(world: World) -> int:
    return await world.send("bob", "ann")


async def _own_echoed(world: World) -> int:
    return await world.send("bob", "ann", echo=True)


async def _targeted(world: World) -> int:
    return await world.post(world.channel(), to=("ann",))


async def _sync_off(world: World) -> int:
    sent = await _received(world)
    await world.set(multi_device_sync=False)
    return sent


async def _too_old(world: World) -> int:
    sent = await _received(world)
    await world.execute("UPDATE apps SET retention_days = 1")
    world.clock.advance(DAY + 1)
    return sent


async def _held(world: World) -> int:
    sent = await world.send()
    await world.policies.place_hold(world.app_key, channel=None, user_id="bob", reason="case")
    return sent


async def _gone(world: World) -> int:
    await world.set(multi_device_sync=False)
    sent = await _received(world)
    await world.clean("bob", "ann", undo=0)
    await world.work()
    return sent


async def _unknown(world: World) -> int:
    return await world.send() + 1


async def _granted(world: World) -> int:
    sent = await world.send()
    await world.execute("UPDATE channels SET reclaimed_to = $1", sent + 1)
    return sent


MISSED, WINDOW = ("shown", "missed"), ("shown", "compensation")
HISTORY, FLOOR = ("shown", "history"), ("kept", "floor")
NEVER = {"history", "missed", "compensation"}


def _all(rule: str, *, outcome: str = "hidden", disk: tuple[str, str] = FLOOR) -> dict[str, tuple[str, str]]:
    return {**dict.fromkeys(NEVER, (outcome, rule)), "disk": disk}


CASES: list[tuple[Case, dict[str, tuple[str, str]], str]] = [
    (
        _sent,
        {"history": HISTORY, "missed": MISSED, "compensation": ("hidden", "missed"), "disk": FLOOR},
        "given as a missed",
    ),
    (
        _received,
        {"history": HISTORY, "missed": ("hidden", "delivered"), "compensation": WINDOW, "disk": FLOOR},
        "received everything up to 2026-03-10T12:00:00.000Z",
    ),
    (_recalled, _all("recalled"), "recalled for everyone"),
    (
        _hidden,
        {
            "history": ("hidden", "hidden"),
            "missed": ("hidden", "delivered"),
            "compensation": ("hidden", "hidden"),
            "disk": FLOOR,
        },
        "deleted it by its id",
    ),
    (
        _unpersisted,
        {
            "history": ("hidden", "stored"),
            "missed": MISSED,
            "compensation": ("hidden", "missed"),
            "disk": FLOOR,
        },
        "shouldPersist 0",
    ),
    (
        _cleaned,
        {
            "history": ("hidden", "cleaned"),
            "missed": ("hidden", "delivered"),
            "compensation": WINDOW,
            "disk": FLOOR,
        },
        "A clean took everything before 2026-03-10T12:00:00.000Z",
    ),
    (
        _cleaned_with_flag,
        {
            "history": ("hidden", "cleaned"),
            "missed": ("hidden", "delivered"),
            "compensation": ("hidden", "cleaned"),
            "disk": FLOOR,
        },
        "deletes compensation",
    ),
    (
        _expired,
        {
            "history": HISTORY,
            "missed": ("hidden", "expired"),
            "compensation": ("hidden", "window"),
            "disk": FLOOR,
        },
        "The compensation window begins at 2026-03-17T00:00:00.000Z",
    ),
    (_own, _all("echo"), "not echoed"),
    (
        _own_echoed,
        {"history": HISTORY, "missed": ("hidden", "sender"), "compensation": WINDOW, "disk": FLOOR},
        "sent it himself",
    ),
    (_targeted, _all("addressed"), "other users of this channel"),
    (
        _sync_off,
        {
            "history": HISTORY,
            "missed": ("hidden", "delivered"),
            "compensation": ("hidden", "off"),
            "disk": FLOOR,
        },
        "switched off",
    ),
    (
        _too_old,
        {
            "history": ("hidden", "policy"),
            "missed": ("hidden", "delivered"),
            "compensation": ("hidden", "window"),
            "disk": FLOOR,
        },
        "policy shows nothing from before 2026-03-10T12:00:00.000Z",
    ),
    (
        _held,
        {
            "history": HISTORY,
            "missed": MISSED,
            "compensation": ("hidden", "missed"),
            "disk": ("kept", "hold"),
        },
        "A hold keeps",
    ),
    (_gone, _all("reclaimed", outcome="gone", disk=("gone", "reclaimed")), "It was deleted"),
    (_unknown, _all("unknown", outcome="gone", disk=("gone", "unknown")), "no such message"),
    (
        _granted,
        {
            "history": HISTORY,
            "missed": MISSED,
            "compensation": ("hidden", "missed"),
            "disk": ("kept", "granted"),
        },
        "about to be deleted",
    ),
]


@pytest.mark.parametrize(("case", "wanted", "words"), CASES, ids=[case.__name__ for case, _, _ in CASES])
async def test_each_rule_has_its_word(
    world: World, case: Case, wanted: dict[str, tuple[str, str]], words: str
) -> None:
    """And the value that decided; as the rules themselves have it."""
    position = await case(world)
    verdicts = await world.explain(world.channel(), position, "bob")
    assert _short(verdicts) == wanted
    assert any(words in verdict.because for verdict in verdicts.values())
    await _agrees(world, position)


async def test_everybody_has_his_own_answer(world: World) -> None:
    """The sender to whom it was not echoed, the recipient, a stranger; one who joined later, one who left."""
    g = await world.make_group("bob", "cid")
    sent = await world.post(g)
    await world.membership.join(g, ["dan"])
    await world.membership.leave(g, ["cid"])
    wanted = {"ann": "echo", "bob": "history", "cid": "participant", "dan": "joined", "eve": "participant"}
    for user, rule in wanted.items():
        assert (await world.explain(g, sent, user))["history"].rule == rule
        assert (sent in await world.seen(g, user)) == (rule == "history")


async def test_a_device_is_told_of_what_it_has_itself(world: World) -> None:
    """One that received it, one that did not, none at all."""
    sent = await world.send()
    await world.ack("bob", "ann", sent, "phone")
    for device, rule in (("phone", "received"), ("tablet", "compensation"), (None, "compensation")):
        assert (await world.explain(world.channel(), sent, "bob", device=device))["compensation"].rule == rule
    assert await world.given("bob", "phone") == []
    assert await world.given("bob", "tablet") == [(sent, "compensation")]


async def test_an_open_channel_has_history_alone(world: World) -> None:
    """For anyone, until it ends."""
    o = await world.make_open(ttl=1)
    sent = await world.post(o)
    assert _short(await world.explain(o, sent, "bob")) == {
        "history": HISTORY,
        "missed": ("hidden", "open"),
        "compensation": ("hidden", "open"),
        "disk": FLOOR,
    }
    world.clock.set(sent + 60 * SECOND)
    assert (await world.explain(o, sent, "bob"))["history"].rule == "ended"
    assert await world.seen(o, "bob") == []


async def test_a_clean_of_everyone_and_ones_own_are_explained_by_the_higher(world: World) -> None:
    """Waiting or applied; a cancelled one is no reason."""
    sent = [await world.send(at=NOON + number * SECOND) for number in range(3)]
    await world.clean("bob", "ann", sent_at=sent[1] // 1000)
    everyones = await world.clean_in(world.channel(), EVERYONE, sent_at=sent[2] // 1000)
    for _ in range(2):
        rules = [(await world.explain(world.channel(), at, "bob"))["history"].rule for at in sent]
        assert rules == ["cleaned", "cleaned", "history"]
        await world.apply()
    await world.cancel(everyones)
    rules = [(await world.explain(world.channel(), at, "bob"))["history"].rule for at in sent]
    assert rules == ["cleaned", "history", "history"]
    for at in sent:
        await _agrees(world, at)


async def test_another_channels_or_apps_message_is_refused(world: World) -> None:
    """By the field; nothing is told of it."""
    sent = await world.send("ann", "cid")
    other = message_id(await world.channel_id("ann", "cid"), sent)
    await world.send()
    for key, text in ((world.channel(), other), (world.channel(), "x"), (world.group("none"), other)):
        with pytest.raises(InvalidInput) as refusal:
            await world.receipts.explain(key, text, user_id="bob", device_id=None)
        assert refusal.value.field == "messageId"
