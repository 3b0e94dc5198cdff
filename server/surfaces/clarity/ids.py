"""Ids of conversations: 16 letters and digits, as Clarity's are, over the channel and its user.

They grant nothing: what one names is always read together with the app and the user of the caller. The user's part keeps
one side's id from naming the other side's conversation.
"""

from __future__ import annotations

import hashlib
import hmac

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 16
_USER_BITS = 32


def conversation_id(channel_id: int, user_id: str) -> str:
    """The id of one user's conversation: 63 bits of the channel and 32 of the user, in base 62."""
    number = channel_id << _USER_BITS | _of_user(user_id)
    text = ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def channel_of(text: str, user_id: str) -> int | None:
    """The channel that the id names; None where it is no id, or another user's."""
    if len(text) != _LENGTH or not (text.isascii() and text.isalnum()):
        return None
    number = 0
    for digit in text:
        number = number * len(_DIGITS) + _DIGITS.index(digit)
    channel_id, user = divmod(number, 1 << _USER_BITS)
    if channel_id >= 1 << 63 or not hmac.compare_digest(user.to_bytes(4), _of_user(user_id).to_bytes(4)):
        return None
    return channel_id


def _of_user(user_id: str) -> int:
    return int.from_bytes(hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).digest()[:4])
