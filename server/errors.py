"""The one table from error classes to HTTP statuses and codes; the nearest class in the tree counts.

The codes are the field's (docs/api.md lists them). What is not in the table is a fault of ours: 500, without detail.
"""

from __future__ import annotations

from dataclasses import dataclass

from history import errors


class BadRequest(errors.TidemarkError):
    """The request is not one of this route's form."""


class NotJson(BadRequest):
    """The body is not a JSON object."""


class NotForm(BadRequest):
    """The body is not a form."""


class EmptyBody(BadRequest):
    """The request has no body."""


class BodyTooLarge(BadRequest):
    """The body is over the size that any request may have."""


class NotTaken(BadRequest):
    """HTTP of a kind that is not taken here; `status` is its own."""

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class Failed(errors.TidemarkError):
    """A fault of ours; what it was stands in the log."""


class NoSuchPath(errors.TidemarkError):
    """There is nothing at this path."""


class WrongMethod(errors.TidemarkError):
    """The path is there, but not for this method."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an error is answered."""

    status: int
    code: int


ANSWERS: dict[type[errors.TidemarkError], Answer] = {
    errors.InvalidInput: Answer(400, 1002),
    errors.TooLong: Answer(400, 1005),
    NotJson: Answer(400, 1002),
    NotForm: Answer(400, 1002),
    NotTaken: Answer(400, 1002),
    EmptyBody: Answer(400, 1003),
    BodyTooLarge: Answer(413, 1508),
    errors.UnknownApp: Answer(401, 1001),
    errors.BadSignature: Answer(401, 1004),
    errors.BadKey: Answer(401, 1004),
    errors.Forbidden: Answer(403, 403),
    errors.NotFound: Answer(404, 404),
    errors.Conflict: Answer(409, 409),
    errors.PlanChanged: Answer(409, 4091),
    errors.NotConfirmed: Answer(409, 4092),
    errors.NotEnabled: Answer(430, 1009),
    NoSuchPath: Answer(404, 404),
    WrongMethod: Answer(405, 1007),
    errors.RateLimited: Answer(429, 1008),
    errors.DatabaseUnavailable: Answer(503, 1000),
    errors.OutcomeUnknown: Answer(503, 1000),
    errors.Overloaded: Answer(503, 1000),
    errors.ClockJumped: Answer(503, 1000),
    errors.QueueUnavailable: Answer(503, 1000),
    errors.MediaUnavailable: Answer(503, 1000),
    Failed: Answer(500, 1000),
    errors.ConfigurationError: Answer(500, 1000),
    errors.SchemaMismatch: Answer(500, 1000),
}
INTERNAL = Answer(500, 1000)


def answer(error: errors.TidemarkError) -> Answer:
    """The row of the nearest class."""
    for class_ in type(error).__mro__:
        if class_ in ANSWERS:
            return ANSWERS[class_]
    return INTERNAL
