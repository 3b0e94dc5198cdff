"""Ids of conversations: one spelling, one user, safe in a path."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from server.surfaces.clarity.ids import channel_of, conversation_id

CHANNELS = st.integers(0, (1 << 63) - 1)
USERS = st.text(min_size=1, max_size=64)


@given(CHANNELS, USERS)
def test_a_conversation_id_reads_back(channel_id: int, user: str) -> None:
    """Letters and digits alone: safe in a path and in a form."""
    text = conversation_id(channel_id, user)
    assert channel_of(text, user) == channel_id
    assert len(text) == 16
    assert text.isalnum()
    assert text.isascii()


@given(CHANNELS, CHANNELS)
def test_conversation_ids_sort_as_their_channels(one: int, other: int) -> None:
    """So that ties in a list can be told from outside."""
    ids = [conversation_id(channel_id, "bob") for channel_id in (one, other)]
    assert (ids[0] < ids[1]) is (one < other)


@given(CHANNELS, USERS, USERS)
def test_another_users_id_names_nothing(channel_id: int, user: str, other: str) -> None:
    """Not even the other side of the same channel."""
    assume(user != other)
    assert channel_of(conversation_id(channel_id, user), other) is None


@given(CHANNELS, st.text(max_size=18))
def test_any_other_text_is_not_a_conversation_id(channel_id: int, text: str) -> None:
    """One id has one spelling."""
    found = channel_of(text, "bob")
    assert found is None or conversation_id(found, "bob") == text
    ours = conversation_id(channel_id, "bob")
    for other in (ours[:-1], ours + "0", "0" + ours, "0" * 16, "z" * 16, ours[:-1] + "-", ""):
        assert channel_of(other, "bob") is None


@pytest.mark.parametrize("text", ["\u0661" * 16, "\u00e4" * 16])
def test_other_scripts_digits_and_letters_are_none(text: str) -> None:
    """Python calls them digits and letters."""
    assert channel_of(text, "bob") is None
