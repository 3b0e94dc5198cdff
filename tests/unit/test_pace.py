"""How fast reclaim goes, by what was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.axis import SECOND
from history.retention.pace import MOST_BATCH, Pace
from tests.factories import NOON

CALM, SLOW = 0.0002, 0.001
QUICK = 0.005


def rests(
    pace: Pace,
    times: int,
    *,
    work: float = QUICK,
    took: float | None = None,
    read: float = CALM,
    inflow: float = 0.0,
    rows: int | None = None,
    at: int = NOON,
) -> list[float]:
    """So many batches, full ones unless told otherwise; the rest after each."""
    return [
        pace.after(
            rows=pace.batch if rows is None else rows,
            took=work if took is None else took,
            work=work,
            read=read,
            inflow=inflow,
            now=at + number,
        )
        for number in range(times)
    ]


def test_alone_it_takes_half_of_the_time_and_as_many_rows_as_ten_milliseconds_are_good_for() -> None:
    pace = Pace()
    assert rests(pace, 40)[-1] == pytest.approx(QUICK)
    assert pace.batch == MOST_BATCH
    batch = Pace(batch=4_000)
    rests(batch, 9, work=0.015)
    assert batch.batch == 4_000


def test_a_slow_batch_halves_the_next_one_to_five_hundred_at_least() -> None:
    pace = Pace(batch=8_000)
    rests(pace, 1, work=0.021)
    assert pace.batch == 4_000
    rests(pace, 9, work=0.3)
    assert pace.batch == 500


def test_what_a_batch_costs_beside_its_rows_makes_it_no_smaller() -> None:
    """The floor of a group of many members takes long for each batch: smaller ones would pay it more often."""
    pace = Pace()
    assert rests(pace, 40, work=0.05, took=QUICK)[-1] == pytest.approx(0.05)
    assert pace.batch == MOST_BATCH


def test_a_batch_that_was_not_full_says_nothing_of_a_larger_one() -> None:
    pace = Pace()
    before = pace.batch
    rests(pace, 9, rows=3)
    assert pace.batch == before


def test_it_holds_back_while_reads_are_slow_and_comes_back_when_they_are_not() -> None:
    pace = Pace()
    rests(pace, 40)
    strained = rests(pace, 30, read=SLOW)
    assert strained == sorted(strained)
    assert strained[-1] == pytest.approx(4 * QUICK)
    assert rests(pace, 40)[-1] == pytest.approx(QUICK)


def test_what_nobody_feels_is_no_reason_to_rest() -> None:
    """A read of a tenth of a millisecond takes three times as long beside a batch of ours."""
    pace = Pace()
    rests(pace, 20, read=0.0001)
    assert rests(pace, 20, read=0.0003)[-1] == pytest.approx(QUICK)
    slow = Pace()
    rests(slow, 20, read=0.002)
    assert rests(slow, 20, read=0.003)[-1] == pytest.approx(QUICK), "half as long again"
    assert rests(slow, 20, read=0.006)[-1] == pytest.approx(4 * QUICK)


def test_one_slow_read_among_quick_ones_is_chance() -> None:
    pace = Pace()
    rests(pace, 40)
    assert pace.after(rows=1, took=QUICK, work=QUICK, read=100 * SLOW, inflow=0, now=NOON) == pytest.approx(
        QUICK
    )
    assert rests(pace, 3)[-1] == pytest.approx(QUICK)


def test_what_is_calm_is_of_the_last_minutes() -> None:
    """A machine that has become slow for good is not waited for for ever; nor is an hour ago the measure after a pause."""
    pace = Pace()
    rests(pace, 40)
    for minute in range(1, 4):
        last = rests(pace, 40, read=SLOW, at=NOON + minute * 60 * SECOND)[-1]
        assert last == pytest.approx(QUICK if minute == 3 else 4 * QUICK), minute
    paused = Pace()
    rests(paused, 40)
    assert rests(paused, 40, read=SLOW, at=NOON + 3_600 * SECOND)[-1] == pytest.approx(QUICK)


def test_beside_writers_it_takes_a_small_share_of_the_time() -> None:
    pace = Pace(batch=10_000)
    assert rests(pace, 40, inflow=10)[-1] == pytest.approx(16 * QUICK)
    assert rests(pace, 40)[-1] == pytest.approx(QUICK), "they have gone"


def test_no_rest_is_longer_than_a_second() -> None:
    assert rests(Pace(), 40, work=3, read=SLOW)[-1] == 1


def test_a_look_that_found_nothing_rests_no_longer_than_it_took() -> None:
    """What stands behind it may be what is to go."""
    pace = Pace()
    assert rests(pace, 40, inflow=10, rows=0, read=SLOW)[-1] == pytest.approx(QUICK)


@given(
    st.lists(
        st.tuples(st.integers(1, 5_000), st.floats(0, 1), st.floats(0.00001, 1), st.floats(0.01, 20_000)),
        max_size=40,
    )
)
def test_more_than_twice_as_much_goes_as_comes_or_it_does_not_rest(
    batches: list[tuple[int, float, float, float]],
) -> None:
    """Whatever was measured before."""
    pace = Pace()
    for number, (rows, work, read, inflow) in enumerate(batches):
        rest = pace.after(
            rows=rows, took=work, work=work, read=read, inflow=inflow, now=NOON + number * SECOND
        )
        assert rest == 0 or rows / (work + rest) > 2.4 * inflow
