"""Cleans, their receipts, previews and undo; hiding by id; explanations."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from server.wire.common import Id, MessageId, Milliseconds, PageSize, PageToken, TypeNumber

Reason = Annotated[str, Meta(max_length=512)]
RequestId = Annotated[str, Meta(min_length=1, max_length=64)]
SentAt = Annotated[
    str | int | None, Meta(description="Milliseconds; messages before it go. Absent or empty: all")
]
UndoSeconds = Annotated[int, Meta(ge=0, le=30 * 86_400)]


class Clean(Struct, kw_only=True):
    """Clean the history of one user, or of everyone (open channels always, the others by scope)."""

    channelType: TypeNumber
    fromUserId: Id
    channelId: Id
    sentAt: SentAt = None
    scope: Literal["user", "everyone"] | None = None
    deleteCompensated: bool | None = None
    deleteMedia: bool | None = None
    undoSeconds: UndoSeconds | None = None
    reason: Reason | None = None
    planHash: Annotated[str, Meta(max_length=64)] | None = None


class Batch(Struct, kw_only=True):
    """Up to 1,000 cleans, each judged by itself."""

    items: Annotated[list[Clean], Meta(min_length=1, max_length=1000)]


class BatchItem(Struct):
    """What became of one clean: code 0, or its error."""

    code: int
    errorMessage: str | None
    requestId: str | None


class BatchDone(Struct):
    """In the order of the items."""

    items: list[BatchItem]


class Request(Struct, kw_only=True):
    """A clean request."""

    requestId: RequestId


class Cancel(Struct, kw_only=True):
    """Undo a clean request, or a job. `operator`: who wants it, for the receipt."""

    requestId: RequestId
    reason: Reason | None = None
    operator: Id | None = None


class CleanUser(Struct, kw_only=True):
    """Clean every channel of a user, as one job."""

    userId: Id
    sentAt: SentAt = None
    deleteCompensated: bool | None = None
    deleteMedia: bool | None = None
    undoSeconds: UndoSeconds | None = None
    reason: Reason | None = None


class RecallBySender(Struct, kw_only=True):
    """Recall all that these senders wrote in a channel, as one job. There is no undo."""

    channelType: TypeNumber
    channelId: Id
    fromUserIds: Annotated[list[Id], Meta(min_length=1, max_length=100)]
    before: SentAt = None
    reason: Reason | None = None


class JobStarted(Struct):
    """The id under which clean/status tells how far the job is."""

    requestId: str


class JobView(Struct, kw_only=True):
    """How far a job is: done of total, a second; secondsLeft null where nobody knows."""

    requestId: str
    kind: str
    state: str
    done: int
    total: int | None
    rate: float
    secondsLeft: int | None
    createdAt: int
    finishedAt: int | None
    cancelledAt: int | None
    cancelledBy: str | None
    cancelReason: str | None


class ReceiptList(Struct, kw_only=True):
    """Which receipts; channelId goes with channelType, and in direct and system channels with userId."""

    userId: Id | None = None
    channelType: TypeNumber | None = None
    channelId: Id | None = None
    state: Literal["accepted", "applied", "settled", "reclaimed", "cancelled"] | None = None
    startAt: Milliseconds | None = None
    endAt: Milliseconds | None = None
    pageSize: PageSize | None = None
    cursor: PageToken | None = None


class DeleteCompensated(Struct, rename={"by": "from"}):
    """Whether a clean deletes compensation, and whose word that is: the request's or the app's setting."""

    value: bool
    by: str


class ReceiptView(Struct, kw_only=True):
    """What a clean did. Times are milliseconds; numbers are null until they are counted."""

    requestId: str
    state: str
    channelType: int
    channelId: str
    userId: str | None
    operator: str | None
    cutoff: int
    cutoffAt: int
    acceptedAt: int
    appliedAt: int | None
    settledAt: int | None
    undoUntil: int
    reason: str | None
    source: str
    deleteCompensated: DeleteCompensated
    deleteMedia: bool
    cancelledAt: int | None
    cancelledBy: str | None
    cancelReason: str | None
    hidden: int | None
    keptMissed: int | None
    keptCompensation: int | None
    keptHeld: int | None
    reclaimedMessages: int | None
    reclaimedFiles: int | None
    reclaimedBytes: int | None


class ReceiptPage(Struct, omit_defaults=True):
    """The newest first; cursor is there where another page is."""

    cleans: list[ReceiptView]
    cursor: str | None = None


class PlanView(Struct):
    """What a clean would do now; complete false: at least so many. planHash, sent with the clean, refuses another plan."""

    cutoff: int
    cutoffAt: int
    hidden: int
    keptMissed: int
    keptCompensation: int
    keptHeld: int
    reclaimedFiles: int
    reclaimedBytes: int
    complete: bool
    planHash: str


class Hide(Struct, kw_only=True):
    """Delete messages by id for one user: from his history and his compensation."""

    userId: Id
    channelType: TypeNumber
    channelId: Id
    messageIds: Annotated[list[MessageId], Meta(min_length=1, max_length=100)]


class HideItem(Struct):
    """What became of one message: code 0, or 404 where there is none."""

    messageId: str
    code: int
    errorMessage: str | None


class Hidden(Struct):
    """In the order of messageIds."""

    items: list[HideItem]


class Explain(Struct, kw_only=True):
    """A message, and for whom it is to be explained."""

    channelType: TypeNumber
    channelId: Id
    messageId: MessageId
    userId: Id
    deviceId: Id | None = None


class VerdictView(Struct):
    """What one rule says: shown, hidden, kept or gone; the rule and the value that decided, in a sentence."""

    outcome: str
    rule: str
    because: str


class Explanation(Struct):
    """Rule by rule."""

    history: VerdictView
    missed: VerdictView
    compensation: VerdictView
    disk: VerdictView
