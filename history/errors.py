"""Every error that Tidemark raises on purpose. Nothing here knows HTTP: server.errors maps classes to statuses.

TidemarkError
├── InvalidInput            a value that cannot be accepted; names its field
│   └── TooLong             a value over its documented size
├── Unauthorized            who is calling could not be established
│   ├── UnknownApp          no such app
│   ├── BadSignature        the signature does not match, is too old, or was used before
│   └── BadKey              the key is not one of ours
├── Forbidden               the caller is known and may not do this
├── NotFound                the named thing does not exist
├── Conflict                it stands in the way of something that is there
│   ├── PlanChanged         a clean would not do what its preview said
│   └── NotConfirmed        it takes messages from view, and its preview was not sent back
├── NotEnabled              the app's settings have this service off
├── RateLimited             too many requests; says when to come back
├── Unavailable             nothing was decided; the same call may be made again
│   ├── DatabaseUnavailable Postgres did not answer
│   ├── OutcomeUnknown      a commit may or may not have happened
│   ├── Overloaded          too many requests are waiting already
│   ├── ClockJumped         the database's clock moved by more than a second
│   ├── QueueUnavailable    Redis did not answer, and this call needs it
│   └── MediaUnavailable    the store of files did not answer
└── StartupError            a process cannot start
    ├── ConfigurationError  an environment variable is missing or wrong
    └── SchemaMismatch      the database has another schema version
"""

from __future__ import annotations


class TidemarkError(Exception):
    """Base of all errors raised on purpose; its text is a sentence for the person who has to act."""


class InvalidInput(TidemarkError):
    """A value cannot be accepted. `field` is its name as the caller wrote it."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class TooLong(InvalidInput):
    """A value is over its documented size."""


class Unauthorized(TidemarkError):
    """Who is calling could not be established."""


class UnknownApp(Unauthorized):
    """No such app."""


class BadSignature(Unauthorized):
    """The signature does not match, is too old, or was used before."""


class BadKey(Unauthorized):
    """The key is not one of ours."""


class NotFound(TidemarkError):
    """The named thing does not exist."""


class Forbidden(TidemarkError):
    """The caller is known and may not do this."""


class Conflict(TidemarkError):
    """It stands in the way of something that is there."""


class PlanChanged(Conflict):
    """A clean would not do what its preview said."""


class NotConfirmed(Conflict):
    """It takes `messages` messages in `channels` channels from view; send `confirm` back to have it done."""

    def __init__(self, sentence: str, *, messages: int, channels: int, confirm: str) -> None:
        super().__init__(sentence)
        self.messages = messages
        self.channels = channels
        self.confirm = confirm


class NotEnabled(TidemarkError):
    """The app's settings have this service off."""


class RateLimited(TidemarkError):
    """Too many requests in this second; try again after `retry_after` seconds."""

    def __init__(self, sentence: str, *, retry_after: int) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class Unavailable(TidemarkError):
    """Nothing was decided; the same call may be made again."""


class DatabaseUnavailable(Unavailable):
    """Postgres did not answer. Nothing was changed."""


class OutcomeUnknown(Unavailable):
    """The connection broke during a commit, which may or may not have happened."""


class Overloaded(Unavailable):
    """Too many requests are waiting already."""


class ClockJumped(Unavailable):
    """The database's clock moved by more than a second."""


class QueueUnavailable(Unavailable):
    """Redis did not answer, and this call needs it."""


class MediaUnavailable(Unavailable):
    """The store of files did not answer."""


class StartupError(TidemarkError):
    """A process cannot start."""


class ConfigurationError(StartupError):
    """An environment variable is missing or wrong."""


class SchemaMismatch(StartupError):
    """The database has another schema version than this code."""
