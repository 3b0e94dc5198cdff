"""What all requests and answers have in common.

Field names are those of ncsdk's models. msgspec checks types, sizes and ranges by the annotations (see server.parse). Null
in an optional field is the same as absent, unknown fields are passed over. Times are milliseconds since the epoch."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from history.cursors import MOST_ID_CHARACTERS

Id = Annotated[str, Meta(min_length=1, max_length=MOST_ID_CHARACTERS)]
Ids = Annotated[list[Id], Meta(min_length=1, max_length=1000)]
MessageId = Annotated[str, Meta(min_length=1, max_length=64)]
Bit = Annotated[int, Meta(ge=0, le=1)]
Milliseconds = Annotated[int, Meta(ge=0, lt=10**14)]
TypeNumber = Annotated[int, Meta(description="1 direct, 3 group, 4 open, 6 system")]
PageSize = Annotated[int, Meta(ge=1, le=100)]
PageToken = Annotated[str, Meta(max_length=1024)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Health(Struct):
    """The process is alive."""

    status: str


class Readiness(Struct, omit_defaults=True):
    """ok; degraded: Redis is missing, everything but speed works; unavailable: Postgres is missing.

    retention is there where deletion falls behind or no worker runs: a line for people, callers are served all the same.
    """

    status: str
    missing: list[str]
    retention: str | None = None


class Fault(Struct):
    """How every error is answered."""

    code: int
    errorMessage: str


class Unconfirmed(Struct):
    """What would go from view, and what to send back to have it done."""

    code: int
    errorMessage: str
    messages: int
    channels: int
    confirm: str
