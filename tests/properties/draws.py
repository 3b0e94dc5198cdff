"""What the state machine draws from."""

from __future__ import annotations

from itertools import permutations

from hypothesis import strategies as st

from tests.properties.clean_steps import Wish
from tests.properties.days import DAY
from tests.properties.state import DIRECT, GROUP, OPEN, SYSTEM, Scope
from tests.properties.steps import Sending
from tests.properties.world import GROUPS, HALL, NEWS, STRANGER, USERS, GroupChange

DEVICES = ("phone", "tablet")
ZONES = ("UTC", "Atlantic/Azores", "Africa/Cairo", "Asia/Beirut", "America/Havana", "Pacific/Kiritimati")
STARTS = (
    ("2026-03-28T12:00+00:00", "Asia/Beirut"),  # the next midnight is missing there
    ("2026-04-23T12:00+00:00", "Africa/Cairo"),  # and there
    ("2026-10-24T12:00+00:00", "Atlantic/Azores"),  # it comes twice
    ("2026-10-31T12:00+00:00", "America/Havana"),
)
LONGEST = 40 * DAY
"""An example stays in months that others have made already: partitions are not what is tested here."""
SWEPT = 8 * DAY
"""So long no side table has a row whose period is over, but those of which the model knows."""

users = st.sampled_from(USERS)
devices = st.sampled_from(DEVICES)
# most happens between two and in one group, so that what a fault needs meets in one channel
pairs = st.sampled_from(
    ((USERS[0], USERS[1]), (USERS[1], USERS[0])) * 4
    + tuple(permutations(USERS, 2))
    + tuple((user, name) for user in USERS for name in (GROUPS[0],) * 4 + (GROUPS[1], HALL, HALL, NEWS, NEWS))
)
some_users = st.lists(users, min_size=1, max_size=3, unique=True)
groups = st.sampled_from((GROUPS[0], GROUPS[0], GROUPS[0], GROUPS[1]))
group_changes = st.sampled_from(
    (GroupChange.JOIN,) * 3 + (GroupChange.LEAVE,) * 3 + (GroupChange.CREATE, GroupChange.DISMISS)
)
ttls = st.sampled_from((None, 60, 60, 24 * 60))
indexes = st.integers(0, 5)
limits = st.sampled_from((1, 2, 3, 100))
flags = st.sampled_from((None, True, False))
talks = st.sampled_from((0, 1, 2, 3))
"""Messages that are sent before a step which needs some."""
undos = st.sampled_from((None, None, 0, 60, 86_400))
befores = st.tuples(indexes, st.sampled_from((-1, 0, 0, 1))) | st.sampled_from((None, 10**11, 10**14 - 1))
Before = tuple[int, int] | int | None
"""Around the millisecond of one of the last messages, or a time in milliseconds, or all."""
uploaders = st.sampled_from((None, None, *USERS))
some_files = st.sampled_from(((), (0,), (1,), (0, 1), (0, 2)))
sendings = st.builds(
    Sending,
    pair=pairs,
    both=st.sampled_from((False, False, True)),
    echoed=st.booleans(),
    persisted=st.sampled_from((True, True, False)),
    to=st.sampled_from((None, None)) | st.frozensets(users, min_size=1, max_size=2),
    key=st.sampled_from((None, None, None, "k", "\u2603")),
    files=st.just(()) | some_files,
)
wishes = st.builds(
    Wish,
    pair=pairs,
    everyone=st.sampled_from((False, False, True)),
    sent_at=st.none(),
    flag=flags,
    undo=undos,
    media=st.booleans(),
)
wrongs = st.sampled_from((None, None, None, "planHash", "sentAt", "scope", "type"))
scopes = st.sampled_from(
    (
        Scope(),
        Scope(DIRECT),
        Scope(GROUP),
        Scope(SYSTEM),
        Scope(OPEN),
        Scope(GROUP, GROUPS[0]),
        Scope(OPEN, HALL),
    )
)
ages = st.sampled_from((None, None, 1, 3, 7))
held = st.one_of(pairs, pairs, users, st.sampled_from((None, STRANGER)))


def cuts(what: str) -> st.SearchStrategy[str]:
    """The process dies before or after it writes an object, or deletes one."""
    return st.sampled_from((f"before {what}", f"after {what}"))


SETTINGS = {
    "multi_device_sync": st.booleans(),
    "compensation_days": st.integers(0, 7),
    "compensation_time_zone": st.sampled_from(ZONES),
    "delete_compensated_on_clean": st.booleans(),
    "missed_days": st.sampled_from((1, 2, 7)),
    "undo_seconds": st.sampled_from((0, 0, 60, 86_400)),
}
Changes = dict[str, bool | int | str]
