"""The error codes of Tencent's REST API: common ones, and those of each of its services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from history import errors
from server.errors import BadRequest, EmptyBody, NotForm, NotJson, WrongMethod

BAD_HTTP, BAD_JSON = 60002, 60003
NO_IDENTIFIER, NO_USERSIG, UNKNOWN_APP, TOO_OFTEN, NOT_ADMIN, NO_APP = (
    60004,
    60005,
    60006,
    60007,
    60010,
    60012,
)


class Refused(errors.BadSignature):
    """The caller could not be told, or may not call; `code` says which."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The codes of one service: of its parameters, what may not be, what is not there, and our failures."""

    parameter: int
    not_allowed: int
    not_there: int
    failed: int
    timed_out: int
    fields: Mapping[str, int] = field(default_factory=dict)
    """Fields whose fault has a code of its own."""
    displays: bool = False
    """Whether its answers have an ErrorDisplay."""

    def code(self, error: errors.TidemarkError) -> int:
        """The code of an error; the nearest class counts."""
        if isinstance(error, Refused):
            return error.code
        if isinstance(error, errors.InvalidInput):
            return self.fields.get(error.field.partition(".")[0].partition("[")[0], self.parameter)
        for class_, code in (
            (NotJson, BAD_JSON),
            (NotForm, BAD_JSON),
            (EmptyBody, BAD_JSON),
            (BadRequest, BAD_HTTP),
            (WrongMethod, BAD_HTTP),
            (errors.RateLimited, TOO_OFTEN),
            (errors.NotFound, self.not_there),
            (errors.NotEnabled, self.not_allowed),
            (errors.Unavailable, self.timed_out),
        ):
            if isinstance(error, class_):
                return code
        return self.failed


RECENT_CONTACT = Service(
    parameter=50002, not_allowed=50003, not_there=50002, failed=50004, timed_out=50005, displays=True
)
GROUP = Service(parameter=10004, not_allowed=10007, not_there=10010, failed=10002, timed_out=10002)
OPEN_IM = Service(
    parameter=90001,
    not_allowed=90009,
    not_there=90012,
    failed=91000,
    timed_out=90992,
    fields={
        "To_Account": 90003,
        "Peer_Account": 90003,
        "MsgRandom": 90005,
        "MsgTimeStamp": 90006,
        "MsgBody": 90010,
        "From_Account": 90008,
        "Operator_Account": 90008,
        "MsgLifeTime": 90026,
        "SyncOtherMachine": 90031,
        "CloudCustomData": 93000,
        "content": 93000,
    },
)
