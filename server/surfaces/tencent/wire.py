"""Requests and answers of Tencent's REST API by its own field names, and of the form for web clients.

Names are taken in any case: libraries of the field write `type` for Type, `to_Account` for To_Account.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from server.wire.common import Bit, Id

Uint32 = Annotated[int, Meta(ge=0, le=4_294_967_295)]
Seconds = Annotated[int, Meta(ge=0, lt=10**11)]
Seq = Annotated[int, Meta(ge=1, lt=2**53, description="The message's position")]
Item = dict[str, Any]


class TencentAnswer(Struct, kw_only=True):
    """OK, or FAIL with the error; HTTP says 200 to both."""

    ActionStatus: str = "OK"
    ErrorInfo: str = ""
    ErrorCode: int = 0
    ErrorDisplay: str | UnsetType = UNSET


class RecentContactDelete(Struct, kw_only=True):
    """Type 1: with To_Account; 2: a group, ToGroupid (or, as a Go library has it, To_Account).

    DeleteMedia 1, with ClearRamble 1 alone: the files that the messages refer to are given up too.
    """

    From_Account: Id
    Type: Annotated[int, Meta(ge=1, le=2)]
    To_Account: Id | None = None
    ToGroupid: Id | None = None
    ClearRamble: Bit | None = None
    DeleteMedia: Bit | None = None


class ContactItem(Struct, kw_only=True):
    """One conversation of a batch."""

    Type: Annotated[int, Meta(ge=1, le=2)]
    To_Account: Id | None = None
    ToGroupid: Id | None = None


class RecentContactBatchDelete(Struct, kw_only=True):
    """Up to 100 conversations, each judged by itself: ContactItem has objects as ContactItem describes them."""

    From_Account: Id
    ContactItem: Annotated[list[Item], Meta(min_length=1, max_length=100)]
    ClearRamble: Bit | None = None
    DeleteMedia: Bit | None = None


class ContactOutcome(Struct, kw_only=True):
    """What became of one of them; what it named comes back as it was."""

    Type: Any = None
    To_Account: Any = UNSET
    ToGroupid: Any = UNSET
    ResultCode: int = 0
    ResultInfo: str = ""


class RecentContactsDeleted(TencentAnswer, kw_only=True):
    """An outcome for each."""

    ResultItem: list[ContactOutcome] = []


class ClearGroupMsg(Struct, kw_only=True):
    """Everything up to and including MsgSeq, or all there is."""

    GroupId: Id
    MsgSeq: Seq | None = None
    DeleteMedia: Bit | None = None


class SendMsg(Struct, kw_only=True):
    """A message of From_Account, or of the admin who calls."""

    To_Account: Id
    MsgRandom: Uint32
    MsgBody: Annotated[list[Item], Meta(min_length=1, max_length=100)]
    From_Account: Id | None = None
    SyncOtherMachine: Annotated[int, Meta(ge=1, le=2)] | None = None
    MsgSeq: Uint32 | None = None
    MsgTimeStamp: Seconds | None = None
    MsgLifeTime: Annotated[int, Meta(ge=0, le=604_800)] | None = None
    CloudCustomData: Annotated[str, Meta(max_length=4_096)] | None = None


class MsgSent(TencentAnswer, kw_only=True):
    """When it was sent, in seconds, and its key."""

    MsgTime: int
    MsgKey: str


class RoamMsg(Struct, kw_only=True):
    """A stretch of a direct conversation, as Operator_Account (or From_Account) may read it; times in seconds."""

    MaxCnt: Annotated[int, Meta(ge=1)]
    MinTime: Seconds
    MaxTime: Seconds
    Operator_Account: Id | None = None
    Peer_Account: Id | None = None
    From_Account: Id | None = None
    To_Account: Id | None = None
    LastMsgKey: Annotated[str, Meta(max_length=64)] | None = None


class RoamedMsg(Struct, kw_only=True):
    """One message of it."""

    From_Account: str
    To_Account: str
    MsgSeq: int
    MsgRandom: int
    MsgTimeStamp: int
    MsgFlagBits: int
    IsPeerRead: int
    MsgKey: str
    MsgBody: list[Item]
    CloudCustomData: str


class RoamedMsgs(TencentAnswer, kw_only=True):
    """A page, oldest first; LastMsgTime and LastMsgKey are of its oldest message, where the next page goes on."""

    Complete: int
    MsgCnt: int
    LastMsgTime: int
    LastMsgKey: str
    MsgList: list[RoamedMsg]


class GroupMsgGet(Struct, kw_only=True):
    """The newest messages of a group, or those up to and including ReqMsgSeq."""

    GroupId: Id
    ReqMsgNumber: Annotated[int, Meta(ge=1)]
    ReqMsgSeq: Seq | None = None
    WithRecalledMsg: Bit | None = None


class GroupMsg(Struct, kw_only=True):
    """One of them; IsPlaceMsg 1: recalled, it has no body."""

    From_Account: str
    IsPlaceMsg: int
    MsgBody: list[Item]
    MsgRandom: int
    MsgSeq: int
    MsgTimeStamp: int
    CloudCustomData: str


class GroupMsgs(TencentAnswer, kw_only=True):
    """Newest first; IsFinished 0: fewer than were asked for, and there are more."""

    GroupId: str
    IsFinished: int
    RspMsgList: list[GroupMsg]


class WebDelete(Struct, kw_only=True):
    """Conversations to take from the user's list: up to 100, or one as a text."""

    conversationIDList: str | list[str]
    clearHistoryMessage: bool | None = None
    deleteMedia: bool | None = None


class WebDeleted(Struct, kw_only=True):
    """Those that were there; conversationID where one was asked for as a text."""

    conversationIDList: list[str] | UnsetType = UNSET
    conversationID: str | UnsetType = UNSET


class WebFault(Struct, kw_only=True):
    """How the form for web clients refuses."""

    code: int
    message: str
