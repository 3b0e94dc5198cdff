"""When a run keeps up, and the lines that say that retention does not."""

from __future__ import annotations

import pytest

from history.axis import SECOND
from history.runs.model import LATE, SILENT, WINDOW, Run, behind, inflow, silent
from tests.factories import NOON


def run_of(
    *, age: int = 0, unfinished: int = 0, deleted: int = 0, appended: int = 0, remaining: int = 0
) -> Run:
    return Run(
        app_key="app",
        started_at=NOON,
        due=0,
        remaining=remaining,
        backlog_age=age,
        done=0,
        unfinished=unfinished,
        deleted=deleted,
        appended=appended,
    )


@pytest.mark.parametrize(
    ("age", "unfinished", "deleted", "appended", "keeps_up"),
    [
        (0, 0, 0, 0, True),
        (0, 0, 0, 1000, True),
        (LATE, 0, 0, 1000, True),
        (LATE + 1, 0, 1000, 1000, False),
        (LATE + 1, 0, 1001, 1000, True),
        # nothing comes and nothing goes: what is due for so long is stuck
        (LATE + 1, 0, 0, 0, False),
        (0, 1, 1000, 1000, False),
        (0, 1, 1001, 1000, True),
    ],
)
def test_a_run_keeps_up_unless_it_is_late_and_deletes_no_more_than_comes(
    age: int, unfinished: int, deleted: int, appended: int, *, keeps_up: bool
) -> None:
    run = run_of(age=age, unfinished=unfinished, deleted=deleted, appended=appended)
    assert run.keeps_up is keeps_up
    assert (behind([run]) is None) is keeps_up


def test_the_line_says_by_how_much_and_leaves_out_those_that_keep_up() -> None:
    fine = run_of(remaining=5, deleted=6000)
    one = run_of(age=900 * SECOND, remaining=1200, deleted=60, appended=600)
    assert behind([]) is behind([fine]) is None
    assert behind([fine, one]) == (
        "Retention falls behind in 1 app: 1200 channels are due, the longest for 900 s; "
        "in its last minute 1.0 messages a second were deleted and 10.0 came in."
    )
    two = behind([one, run_of(age=1000 * SECOND, remaining=1), fine]) or ""
    assert two.startswith("Retention falls behind in 2 apps: 1201 channels are due, the longest for 1000 s;")


def test_silence_is_three_minutes_without_a_run() -> None:
    assert silent(last=NOON - SILENT + 1, first_app=0, now=NOON) is None
    assert "began 180 s ago" in (silent(last=NOON - SILENT, first_app=0, now=NOON) or "")
    assert silent(last=None, first_app=None, now=NOON) is None
    assert silent(last=None, first_app=NOON - SILENT + 1, now=NOON) is None
    assert "never run" in (silent(last=None, first_app=NOON - SILENT, now=NOON) or "")


def test_a_rate_is_over_the_time_that_has_passed() -> None:
    run = run_of(deleted=600)
    assert run.per_second(600, now=NOON + 10 * SECOND) == 60
    assert run.per_second(600, now=NOON + WINDOW) == run.per_second(600, now=NOON + 9 * WINDOW) == 10
    assert run.per_second(600, now=NOON) == 600
    assert (run.is_over(NOON + WINDOW - 1), run.is_over(NOON + WINDOW)) == (False, True)


def test_the_inflow_is_of_the_minute_in_which_more_came() -> None:
    """What is told every five seconds is no burst in the first of them."""
    assert inflow({}, now=NOON) == 0
    assert inflow({NOON: 100}, now=NOON) == inflow({NOON: 100}, now=NOON + 5 * SECOND) == 20
    assert inflow({NOON: 100}, now=NOON + 50 * SECOND) == 2
    assert inflow({NOON: 600, NOON + WINDOW: 100}, now=NOON + WINDOW + 20 * SECOND) == 10
    assert inflow({NOON: 600}, now=NOON + 2 * WINDOW) == 0
