"""The pure parts of the features."""

from __future__ import annotations

from dataclasses import replace
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.apps.model import check_time_zone, key_hash, new_app_key, new_key, new_secret, seal, unseal
from history.axis import DAY, NEVER, SECOND
from history.channels.model import ChannelKey, ChannelType, channel_key, derived_id
from history.delivery.model import Delivered, Reach, fill
from history.errors import ConfigurationError, InvalidInput
from history.messages.model import Copy, Draft, Flags, Message, Month, positions
from history.retention.model import (
    Cutoffs,
    Floor,
    Journalled,
    Pair,
    cutoff_before,
    merged,
    new_request_id,
    queue_member,
    read_queue_member,
)

USERS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=64)
NOW = 1_773_144_000 * SECOND


# apps ----------------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=40))
def test_a_sealed_secret_opens_under_its_key_for_its_app(master: bytes, secret: str) -> None:
    """And twice sealed never looks the same."""
    sealed = seal(master, "app", secret)
    assert unseal(master, "app", sealed) == secret
    assert sealed != seal(master, "app", secret)


def test_a_sealed_secret_opens_under_nothing_else() -> None:
    """Another master key, another app's row, a changed byte, a cut one."""
    sealed = seal(b"k" * 32, "app", "secret")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for master, app_key, text in ((b"o", "app", sealed), (b"k", "ape", sealed), (b"k", "app", changed)):
        with pytest.raises(ConfigurationError):
            unseal(master * 32, app_key, text)
    assert b"secret" not in sealed


def test_keys_are_long_enough_and_never_twice() -> None:
    """The kind can be read, the hash cannot be turned back."""
    assert len({new_secret() for _ in range(100)} | {new_key("api") for _ in range(100)}) == 200
    assert all(len(new_app_key()) == 12 and new_app_key().isalnum() for _ in range(20))
    assert new_key("admin").startswith("tm_admin_")
    assert len(key_hash("\ud800")) == 32


def test_a_time_zone_must_be_known_to_both() -> None:
    """To Python and to Postgres."""
    check_time_zone("Europe/Berlin", frozenset({"Europe/Berlin"}))
    for name, known in (("Europe/Berlin", frozenset[str]()), ("Mars/Base", frozenset({"Mars/Base"}))):
        with pytest.raises(InvalidInput) as refusal:
            check_time_zone(name, known)
        assert refusal.value.field == "compensationTimeZone"


# channels ------------------------------------------------------------------------------------------------------------


@given(USERS, USERS)
def test_a_direct_channel_is_the_unordered_pair(one: str, other: str) -> None:
    """Sorted by bytes, and each sees the other."""
    key = channel_key("app", ChannelType.DIRECT, channel_id=other, user_id=one)
    assert key == channel_key("app", ChannelType.DIRECT, channel_id=one, user_id=other)
    assert [part.encode() for part in key.key] == sorted((one.encode(), other.encode()))
    assert (key.seen_by(one), key.seen_by(other)) == (other, one)
    assert key.participants() == key.key


def test_the_pair_is_sorted_by_bytes_and_not_by_utf_16() -> None:
    """As COLLATE "C" sorts it."""
    high, private = "\U0001f600", "\ufffd"
    assert channel_key("a", ChannelType.DIRECT, channel_id=high, user_id=private).key == (private, high)


def test_the_other_types_have_their_own_keys() -> None:
    """System: account and user, ordered, the user alone takes part. Group and open: the id."""
    system = channel_key("a", ChannelType.SYSTEM, channel_id="news", user_id="ann")
    assert (system.key, system.seen_by("ann"), system.participants()) == (("news", "ann"), "news", ("ann",))
    assert system != channel_key("a", ChannelType.SYSTEM, channel_id="ann", user_id="news")
    for type_ in (ChannelType.GROUP, ChannelType.OPEN):
        key = channel_key("a", type_, channel_id="g", user_id="ann")
        assert (key.key, key.seen_by("ann"), key.participants()) == (("g",), "g", ())


def test_keys_that_concatenate_equally_have_different_ids() -> None:
    """Parts are length-prefixed: app, type, users and attempt cannot run into each other."""
    direct, system, group = ChannelType.DIRECT, ChannelType.SYSTEM, ChannelType.GROUP
    keys = [
        (ChannelKey("app", direct, ("ab", "c")), 0),
        (ChannelKey("app", direct, ("a", "bc")), 0),
        (ChannelKey("appa", direct, ("b", "c")), 0),
        (ChannelKey("app", system, ("a", "bc")), 0),
        (ChannelKey("app", group, ("abc",)), 0),
        (ChannelKey("app", group, ("abc0",)), 0),
        (ChannelKey("app", group, ("abc",)), 1),
        (ChannelKey("app1", group, ("abc",)), 0),
        (ChannelKey("app", direct, ("é", "c")), 0),
        (ChannelKey("app", direct, ("\xc3", "\xa9c")), 0),
    ]
    ids = {derived_id(key, attempt) for key, attempt in keys}
    assert len(ids) == len(keys)
    assert all(0 <= id_ < 1 << 63 for id_ in ids)


def test_derived_ids_never_change() -> None:
    """Rows are filed under them."""
    assert derived_id(ChannelKey("app", ChannelType.DIRECT, ("ann", "bob")), 0) == 555_561_489_379_578_522


# messages ------------------------------------------------------------------------------------------------------------


def _draft(*channels: ChannelKey, client_key: str | None = None) -> Draft:
    return Draft(
        channels=channels, sender="s", type="t", content="c", flags=Flags.PERSISTED, client_key=client_key
    )


@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), max_size=20), st.integers(1000, 2000)
)
def test_positions_fill_what_was_reserved_in_the_order_of_drafts(drafts: list[list[str]], end: int) -> None:
    """Each channel's are consecutive, unique, rising, and end at the reserved end."""
    ids = {name: number for number, name in enumerate("abcd", start=7)}
    ends = {id_: end + id_ for id_ in ids.values()}
    # equal drafts, and the same channel more than once: each is a row of its own
    copies = [Copy(_draft(), ids[name]) for names in drafts for name in names]
    found: dict[int, list[int]] = {}
    for copy, position in zip(copies, positions(copies, ends), strict=True):
        found.setdefault(copy.channel_id, []).append(position)
    for id_, given_ in found.items():
        assert given_ == list(range(ends[id_] - len(given_) + 1, ends[id_] + 1))


def test_two_copies_that_say_the_same_are_two() -> None:
    """They are told apart by what they are, not by what they hold."""
    draft = _draft()
    assert Copy(draft, 1) != Copy(draft, 1)
    assert len({Copy(draft, 1), Copy(draft, 1)}) == 2


def test_a_clients_key_counts_in_its_channel_and_for_its_sender() -> None:
    """And where there is none, nothing is claimed."""
    assert Copy(_draft(client_key="k"), 7).client_key == (7, "s", "k")
    assert Copy(_draft(), 7).client_key is None


def test_months_follow_each_other_without_a_gap() -> None:
    """December included, and the last microsecond of each belongs to it."""
    month = Month(2026, 11)
    names = []
    for _ in range(15):
        assert Month.of(month.first) == month
        assert Month.of(month.next().first - 1) == month
        names.append(month.table)
        month = month.next()
    assert names[:3] == ["messages_2026_11", "messages_2026_12", "messages_2027_01"]
    assert names[-2:] == ["messages_2027_12", "messages_2028_01"]


def test_sent_at_is_the_position_in_milliseconds() -> None:
    """Rounded down."""
    message = Message(
        channel_id=1, position=1_999, sender="s", type="t", content="c", flags=Flags.PERSISTED, metadata=None
    )
    assert message.sent_at == 1
    assert cutoff_before(2) == 2_000
    assert cutoff_before(None) == NEVER


# retention -----------------------------------------------------------------------------------------------------------

PAIRS = st.builds(
    Pair,
    app_key=st.sampled_from(["a", "b"]),
    channel_id=st.integers(0, 3),
    user_id=st.sampled_from(["", "u"]),
)
ROWS = st.lists(st.tuples(PAIRS, st.integers(0, 100), st.booleans(), st.booleans()), max_size=30)


def _rows(rows: list[tuple[Pair, int, bool, bool]]) -> list[Journalled]:
    return [
        Journalled(pair=p, id=UUID(int=n), cutoff=c, delete_compensated=f, delete_media=d)
        for n, (p, c, f, d) in enumerate(rows)
    ]


@given(ROWS, st.randoms())
def test_cutoffs_merge_by_the_maximum_of_each_kind_in_any_order(
    rows: list[tuple[Pair, int, bool, bool]], dice: st.DataObject
) -> None:
    """Sync counts only what carries the flag, media only what gives up the files."""
    shuffled = sorted(rows, key=lambda _: dice.random())  # type: ignore[attr-defined]
    expected = {
        pair: Cutoffs(
            history=max(c for p, c, *_ in rows if p == pair),
            sync=max((c for p, c, f, _ in rows if p == pair and f), default=0),
            media=max((c for p, c, _, d in rows if p == pair and d), default=0),
        )
        for pair, *_ in rows
    }
    assert merged(_rows(rows)) == merged(_rows(shuffled)) == expected


@given(st.integers(0, (1 << 48) * 1_000 - 1))
def test_request_ids_are_valid_uuids_of_version_7_with_their_time(now: int) -> None:
    """And sort by it."""
    made = new_request_id(now)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == now // 1_000
    assert made != new_request_id(now)


def test_request_ids_of_one_instant_are_unique() -> None:
    """A batch has one `now`."""
    assert len({new_request_id(NOW) for _ in range(10_000)}) == 10_000


@given(st.text("abc123", min_size=1, max_size=12), st.integers(0, NEVER), st.just("") | USERS)
def test_a_pair_reads_back_from_the_queue(app_key: str, channel_id: int, user_id: str) -> None:
    """Whatever the user's id holds: colons, spaces, newlines, emoji, or nothing for everyone."""
    for user in (user_id, ":" + user_id, user_id + ":1:2", "\n"):
        pair = Pair(app_key, channel_id, user)
        assert read_queue_member(queue_member(pair)) == pair


@given(st.text())
def test_what_is_no_pair_is_none_or_has_one_spelling(text: str) -> None:
    """Nothing that Redis holds raises."""
    pair = read_queue_member(text)
    assert pair is None or 0 <= pair.channel_id <= NEVER


@pytest.mark.parametrize(
    "text", ["", "a", "a:1", "a:x:u", "a:-1:u", "a:1 :u", "a:\u0661:u", f"a:{NEVER + 1}:u", "a:1:\x00"]
)
def test_members_of_somebody_else_are_no_pair(text: str) -> None:
    """No colon, no number, no bigint, or what Postgres cannot hold."""
    assert read_queue_member(text) is None


REACH = Reach(missed_from=0, window_from=0, window_moves_at=5_000)
EMPTY = Floor(
    history=NEVER,
    missed=NEVER,
    compensated=NEVER,
    end=100,
    tip=101,
    expires_at=None,
    max_age=None,
    held=False,
    uncounted=False,
)


@pytest.mark.parametrize(
    ("history", "missed", "compensated", "position", "looks_at"),
    [
        (NEVER, NEVER, NEVER, 100, None),  # all of the batch may go
        (10, NEVER, NEVER, 10, None),  # history waits for an event
        (10, 10, 10, 10, None),  # whatever else needs the same message
        (NEVER, 10, NEVER, 10, 10 + DAY + 1),  # the first instant at which it has expired
        (NEVER, NEVER, 10, 10, 5_000),  # the window moves
        (NEVER, 10, 10, 10, 5_000),  # the earlier of the two
        (50, 10, 20, 10, 10 + DAY + 1),  # only what holds the floor counts
        (50, 20, 10, 10, 5_000),
        (200, 200, 200, 100, None),  # beyond the end nobody looked
    ],
)
def test_a_floor_is_looked_at_again_when_time_alone_may_raise_it(
    history: int, missed: int, compensated: int, position: int, looks_at: int | None
) -> None:
    """Never later than that instant."""
    floor = replace(EMPTY, history=history, missed=missed, compensated=compensated, tip=100)
    assert floor.position == position
    assert floor.next_look(REACH, missed_for=DAY, now=NOW) == looks_at
    for expires_at in (1, 10**17):
        expiring = replace(floor, expires_at=expires_at)
        assert expiring.position == position
        assert expiring.next_look(REACH, missed_for=DAY, now=NOW) == min(expires_at, looks_at or NEVER)
    held = replace(floor, expires_at=1, max_age=DAY, held=True)
    assert (held.position, held.next_look(REACH, missed_for=DAY, now=NOW)) == (0, None)
    waiting = replace(floor, expires_at=1, max_age=DAY, uncounted=True)
    assert (waiting.position, waiting.next_look(REACH, missed_for=DAY, now=NOW)) == (0, NOW + 60 * SECOND)


@pytest.mark.parametrize(
    ("history", "missed", "now", "looks_at"),
    [
        (10, NEVER, 50, 10 + 2 * DAY + 1),  # the first instant at which it is too old
        (NEVER, NEVER, 50, 50 + 2 * DAY + 1),  # what is sent now is too old then
        (70, NEVER, 50, 50 + 2 * DAY + 1),  # beyond now nothing is
        (NEVER, 10, 50, 10 + DAY + 1),  # it expires before
        (10, 10, 50, 10 + 2 * DAY + 1),  # history holds it, whatever else does
    ],
)
def test_a_floor_under_a_policy_is_looked_at_when_its_age_has_passed(
    history: int, missed: int, now: int, looks_at: int
) -> None:
    """A message of history does not wait for an event then."""
    floor = replace(EMPTY, history=history, missed=missed, max_age=2 * DAY)
    assert floor.next_look(REACH, missed_for=DAY, now=now) == looks_at


def test_a_floor_is_found_where_something_blocks_or_nothing_follows() -> None:
    """Else the next batch is looked at."""
    assert not EMPTY.found
    assert replace(EMPTY, tip=100).found
    assert replace(EMPTY, missed=99).found
    assert replace(EMPTY, held=True).found


# delivery ------------------------------------------------------------------------------------------------------------


def _delivered(content: str) -> Delivered:
    message = Message(
        channel_id=1, position=1, sender="s", type="t", content=content, flags=Flags.PERSISTED, metadata=None
    )
    return Delivered(
        message=message, channel=ChannelKey("a", ChannelType.DIRECT, ("s", "u")), origin="missed"
    )


@pytest.mark.parametrize(
    ("contents", "most_bytes", "fits"),
    [
        ([], 10, 0),
        (["x" * 100], 10, 1),
        (["x" * 100, "y"], 10, 1),
        (["x", "y"], 2 * (512 + 3), 2),
        (["x", "y"], 2 * (512 + 3) - 1, 1),
        (["\x01" * 100, "y"], 512 + 602 + 514, 1),
        (["\x01" * 100, "y"], 512 + 602 + 515, 2),
        (["é" * 100, "y"], 512 + 202 + 515, 2),
    ],
)
def test_a_page_is_filled_by_the_bytes_of_its_json(contents: list[str], most_bytes: int, fits: int) -> None:
    """Escapes and all; at least one message, however large."""
    messages = [_delivered(content) for content in contents]
    assert fill(messages, most_bytes=most_bytes) == messages[:fits]
