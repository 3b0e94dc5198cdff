"""The state machine of tests.properties.machine on a real PostgreSQL and a real Redis."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import Machine
from tests.properties.world import Ground, open_ground

_COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def _run(database_url: str, redis_url: str, *, examples: int, steps: int) -> None:
    with open_ground(database_url, redis_url) as opened:

        class OnThisGround(Machine):
            ground: Ground = opened

        run_state_machine_as_test(
            OnThisGround, settings=settings(_COMMON, max_examples=examples, stateful_step_count=steps)
        )


@pytest.mark.timeout(600)
def test_what_is_read_and_kept_is_what_the_model_says(database_url: str, redis_url: str) -> None:
    _run(database_url, redis_url, examples=250, steps=40)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_what_is_read_and_kept_is_what_the_model_says_for_long(database_url: str, redis_url: str) -> None:
    _run(database_url, redis_url, examples=800, steps=60)
