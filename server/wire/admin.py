"""Apps, their keys and their settings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from server.wire.common import Id, MessageId, Name, PageSize, PageToken, TypeNumber


class NewApp(Struct):
    """A name for a new app."""

    name: Name


class AppKeys(Struct):
    """The keys of a new app: shown here and never again."""

    name: str
    appKey: str
    appSecret: str
    apiKey: str


class AppRow(Struct):
    """An app as lists show it."""

    appKey: str
    name: str
    createdAt: int


class AppList(Struct):
    """All apps, oldest first."""

    apps: list[AppRow]


class NewKey(Struct, kw_only=True):
    """A key for one app: scope api, admin or admin-read."""

    name: Name
    scope: Literal["api", "admin", "admin-read"]


class KeyRow(Struct):
    """A key as lists show it."""

    id: str
    name: str
    scope: str
    createdAt: int
    lastUsedAt: int | None


class KeyMade(Struct):
    """The key itself is shown here and never again."""

    id: str
    name: str
    scope: str
    key: str


class KeyList(Struct):
    """The keys of an app, oldest first."""

    keys: list[KeyRow]


class Rotate(Struct, kw_only=True):
    """For how long the secret before stays good."""

    overlapSeconds: Annotated[int, Meta(ge=0, le=30 * 86_400)] | None = None


class Rotated(Struct):
    """The new secret: shown here and never again."""

    appSecret: str


class Nothing(Struct):
    """Done."""


class NewInstance(Struct, kw_only=True):
    """A user of the app who is to have a token of his own."""

    instance: Id


class InstanceMade(Struct):
    """The token itself is shown here and never again."""

    instance: str
    connected: bool
    createdAt: int
    token: str


class InstancePatch(Struct, kw_only=True):
    """Whether calls for the instance are taken."""

    connected: bool


class InstanceView(Struct):
    """An instance, without its token."""

    instance: str
    connected: bool
    createdAt: int


class HoldChannel(Struct, kw_only=True):
    """A channel: userIds for a direct one, channelId and userId for a system one, channelId for the others."""

    channelType: TypeNumber
    channelId: Id | None = None
    userIds: Annotated[list[Id], Meta(min_length=2, max_length=2)] | None = None
    userId: Id | None = None


class NewHold(Struct, kw_only=True):
    """A hold on a channel, on a user, or, with neither, on the app."""

    reason: Annotated[str, Meta(min_length=1, max_length=512)]
    channel: HoldChannel | None = None
    userId: Id | None = None


class HoldView(Struct):
    """A hold; kind is app, channel or user."""

    id: str
    kind: str
    channelType: int | None
    channelKey: list[str] | None
    userId: str | None
    reason: str
    createdAt: int


class HoldList(Struct):
    """The holds of an app, oldest first."""

    holds: list[HoldView]


class PolicyPut(Struct, kw_only=True):
    """How old messages may be; confirm is needed where that takes messages from view."""

    maxAgeDays: Annotated[int, Meta(ge=1, le=36_500)]
    confirm: Annotated[str, Meta(max_length=64)] | None = None


class PolicyView(Struct):
    """The scope's own age, and the one that counts for it."""

    maxAgeDays: int | None
    effectiveMaxAgeDays: int | None


class Confirmation(Struct, kw_only=True):
    """In the query: what a refused removal asked to be sent back."""

    confirm: Annotated[str, Meta(max_length=64)] | None = None


class RunsQuery(Struct, kw_only=True):
    """In the query: which page of the runs."""

    limit: PageSize | None = None
    cursor: PageToken | None = None


class RunView(Struct, kw_only=True):
    """A minute of the retention job: channels that were due, done and left; messages deleted and received, also a second; what
    the messages of all apps took on disk when it began, and after the last month that was dropped in it.

    endedAt and keepsUp are null while it goes on, the bytes in runs of an older version.
    """

    startedAt: int
    endedAt: int | None
    due: int
    done: int
    unfinished: int
    left: int
    backlogAgeSeconds: int
    deletedMessages: int
    receivedMessages: int
    drain: float
    inflow: float
    keepsUp: bool | None
    bytesBefore: int | None
    bytesAfter: int | None
    droppedMonths: list[str]


class RunPage(Struct, omit_defaults=True):
    """The newest first; cursor is there where another page is."""

    runs: list[RunView]
    cursor: str | None = None


class SettingsPatch(Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The settings to change; docs/operations.md says what each does."""

    multi_device_sync: bool | None = None
    compensation_days: Annotated[int, Meta(ge=0, le=7)] | None = None
    compensation_time_zone: MessageId | None = None
    delete_compensated_on_clean: bool | None = None
    missed_days: Annotated[int, Meta(ge=1, le=7)] | None = None
    undo_seconds: Annotated[int, Meta(ge=0, le=30 * 86_400)] | None = None
    clean_rate_limit: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    max_content_bytes: Annotated[int, Meta(ge=1, le=1_048_576)] | None = None
    signature_max_age_seconds: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    reject_replayed_nonces: bool | None = None
    direct_group_storage: bool | None = None
    open_storage: bool | None = None
    device_days: Annotated[int, Meta(ge=8, le=3650)] | None = None
    left_days: Annotated[int, Meta(ge=1, le=3650)] | None = None
    recall_days: Annotated[int, Meta(ge=8, le=3650)] | None = None
    journal_days: Annotated[int, Meta(ge=31, le=3650)] | None = None
    token_days: Annotated[int, Meta(ge=1, le=3650)] | None = None
    idempotency_hours: Annotated[int, Meta(ge=1, le=720)] | None = None
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] | None = None
    sync_conversation_deletion: bool | None = None
    # of these two null says none
    tencent_sdk_app_id: Annotated[int, Meta(ge=1, le=4_294_967_295)] | UnsetType | None = UNSET
    tencent_admin: Id | None = None
    tencent_key: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType | None = UNSET
    media_max_bytes: Annotated[int, Meta(ge=0, le=2_147_483_647)] | None = None
    media_types: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    media_unused_hours: Annotated[int, Meta(ge=1, le=8_760)] | None = None
    confirm: Annotated[str, Meta(max_length=64)] | None = None


class SettingsView(Struct, kw_only=True, rename="camel"):
    """All settings of an app; of its Tencent key only whether there is one."""

    multi_device_sync: bool
    compensation_days: int
    compensation_time_zone: str
    delete_compensated_on_clean: bool
    missed_days: int
    undo_seconds: int
    clean_rate_limit: int
    max_content_bytes: int
    signature_max_age_seconds: int
    reject_replayed_nonces: bool
    direct_group_storage: bool
    open_storage: bool
    device_days: int
    left_days: int
    recall_days: int
    journal_days: int
    token_days: int
    idempotency_hours: int
    retention_days: int
    sync_conversation_deletion: bool
    tencent_sdk_app_id: int | None
    tencent_admin: str
    tencent_key: bool
    media_max_bytes: int
    media_types: str
    media_unused_hours: int
