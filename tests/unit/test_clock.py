"""The clock that follows Postgres's."""

from __future__ import annotations

import time

import pytest

from history.axis import SECOND
from history.clock import DatabaseClock

START = 1_773_144_000 * SECOND


class Monotonic:
    """A monotonic clock that a test moves, in microseconds."""

    def __init__(self) -> None:
        self.micros = 5_000_000

    def __call__(self) -> int:
        return self.micros * 1_000


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    """What the process's own clock says from here on."""
    clock = Monotonic()
    monkeypatch.setattr(time, "monotonic_ns", clock)
    return clock


@pytest.fixture
def clock(monotonic: Monotonic) -> DatabaseClock:
    """Synchronized to START this very moment."""
    made = DatabaseClock()
    made.observe(START, monotonic())
    return made


def test_between_readings_it_runs_with_the_monotonic_clock(
    clock: DatabaseClock, monotonic: Monotonic
) -> None:
    """Microsecond by microsecond."""
    assert clock.now() == START
    monotonic.micros += 1_234_567
    assert clock.now() == START + 1_234_567


@pytest.mark.parametrize("offset", [0, 1, 1_500_000, 3_000_000])
def test_a_reading_from_within_the_question_changes_nothing(
    clock: DatabaseClock, monotonic: Monotonic, offset: int
) -> None:
    """A lock was waited for: the reading may be of any moment between asking and the answer."""
    asked_at = clock.mark()
    monotonic.micros += 3_000_000
    assert clock.observe(START + offset, asked_at)
    assert clock.now() == START + 3_000_000


@pytest.mark.parametrize("drift", [-SECOND, -1, 1, SECOND])
def test_a_small_drift_is_corrected_silently(clock: DatabaseClock, monotonic: Monotonic, drift: int) -> None:
    """Up to a second in either direction."""
    asked_at = clock.mark()
    assert clock.observe(START + drift, asked_at)
    assert clock.now() == START + drift
    monotonic.micros += 10
    assert clock.now() == START + drift + 10


@pytest.mark.parametrize("jump", [-3_600 * SECOND, -SECOND - 1, SECOND + 1, 86_400 * SECOND])
def test_a_jump_over_a_second_is_reported_once_and_followed(clock: DatabaseClock, jump: int) -> None:
    """The next reading finds a clock that is right."""
    assert not clock.observe(START + jump, clock.mark())
    assert clock.now() == START + jump
    assert clock.observe(START + jump, clock.mark())


def test_a_correction_counts_from_the_near_end_of_the_question(
    clock: DatabaseClock, monotonic: Monotonic
) -> None:
    """A reading before the question is taken as of its start, one after the answer as of its end."""
    asked_at = clock.mark()
    monotonic.micros += 100
    clock.observe(START - 40, asked_at)
    assert clock.now() == START - 40 + 100
    asked_at = clock.mark()
    monotonic.micros += 100
    clock.observe(START + 500, asked_at)
    assert clock.now() == START + 500
