"""The official Python SDK of the v4 API, unmodified, against a running `tidemark up`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ncsdk
import pytest
from ncsdk.exceptions import (
    BadRequestException,
    ConflictException,
    NotFoundException,
    UnauthorizedException,
)
from ncsdk.models.access_token_expire_request import AccessTokenExpireRequest
from ncsdk.models.access_token_issue_request import AccessTokenIssueRequest
from ncsdk.models.channel_message_history_delete_request import ChannelMessageHistoryDeleteRequest
from ncsdk.models.direct_channel_history_message_list_request import DirectChannelHistoryMessageListRequest
from ncsdk.models.direct_channel_message_send_request import DirectChannelMessageSendRequest
from ncsdk.models.direct_channel_message_update_request import DirectChannelMessageUpdateRequest
from ncsdk.models.group_channel_create_request import GroupChannelCreateRequest
from ncsdk.models.group_channel_dismiss_request import GroupChannelDismissRequest
from ncsdk.models.group_channel_history_message_list_request import GroupChannelHistoryMessageListRequest
from ncsdk.models.group_channel_join_request import GroupChannelJoinRequest
from ncsdk.models.group_channel_joined_list_request import GroupChannelJoinedListRequest
from ncsdk.models.group_channel_member_list_request import GroupChannelMemberListRequest
from ncsdk.models.group_channel_message_send_request import GroupChannelMessageSendRequest
from ncsdk.models.group_channel_message_update_request import GroupChannelMessageUpdateRequest
from ncsdk.models.group_channel_quit_request import GroupChannelQuitRequest
from ncsdk.models.message_delete_request import MessageDeleteRequest
from ncsdk.models.open_channel_create_request import OpenChannelCreateRequest
from ncsdk.models.open_channel_destroy_request import OpenChannelDestroyRequest
from ncsdk.models.open_channel_history_message_list_request import OpenChannelHistoryMessageListRequest
from ncsdk.models.open_channel_message_send_request import OpenChannelMessageSendRequest
from ncsdk.models.system_channel_message_send_request import SystemChannelMessageSendRequest

from tests.api.backend import Backend, now_ms
from tests.system.conftest import Up

DAY_MS = 86_400_000


def client(up: Up, secret: str | None = None) -> Any:
    """As the SDK's own page says, with both domains pointing here."""
    demo = up.demo()
    configuration = ncsdk.Configuration()
    configuration.set_nexconn_credentials(app_key=demo["appKey"], app_secret=secret or demo["appSecret"])
    configuration.set_primary_backup_domains(demo["baseUrl"], demo["baseUrl"])
    return ncsdk.ApiClient(configuration)


@pytest.fixture
def api(running: Up) -> Iterator[Any]:
    with client(running) as opened:
        yield ncsdk.MessageManagementApi(opened)


def send(api: Any, content: str, *, to: str = "bob", echo: int = 1) -> str:
    answer = api.send_direct_channel_message(
        DirectChannelMessageSendRequest(
            fromUserId="alice",
            toUserIds=[to],
            messageType="RC:TxtMsg",
            content=content,
            isEchoToSender=echo,
            pushContent="",
            hasMetadata=False,
        )
    )
    assert answer.code == 0
    (delivery,) = answer.result.message_ids
    assert delivery.user_id == to
    message_id: str = delivery.message_id
    return message_id


def history(api: Any, user: str, other: str) -> list[Any]:
    now = now_ms() + 1000
    answer = api.list_direct_channel_history_messages(
        DirectChannelHistoryMessageListRequest(
            userId=user,
            channelId=other,
            startAt=now,
            endAt=now - DAY_MS,
            pageSize=100,
            includeStart=True,
        )
    )
    assert answer.code == 0
    return list(answer.result.messages)


def clean(api: Any, user: str, other: str, sent_at: str | None = None) -> None:
    request = ChannelMessageHistoryDeleteRequest(
        channelType=1, fromUserId=user, channelId=other, sentAt=sent_at
    )
    assert api.delete_channel_message_history(request).code == 0


def test_send_list_and_clean_from_end_to_end(api: Any) -> None:
    first, second = send(api, '{"content":"one"}'), send(api, '{"content":"zwei ✓"}')
    listed = history(api, "bob", "alice")
    assert [message.message_id for message in listed] == [second, first]
    newest = listed[0]
    assert (newest.content, newest.message_type) == ('{"content":"zwei ✓"}', "RC:TxtMsg")
    assert (newest.from_user_id, newest.channel_id, newest.has_metadata) == ("alice", "alice", False)
    assert abs(newest.sent_at - now_ms()) < 60_000
    clean(api, "bob", "alice")
    assert history(api, "bob", "alice") == []
    assert [message.message_id for message in history(api, "alice", "bob")] == [second, first]
    third = send(api, '{"content":"three"}')
    assert [message.message_id for message in history(api, "bob", "alice")] == [third]


def test_a_clean_before_a_moment_leaves_what_came_at_it_and_after(api: Any) -> None:
    old = send(api, "old", to="cid")
    while now_ms() <= history(api, "cid", "alice")[0].sent_at:
        pass
    new = send(api, "new", to="cid")
    clean(api, "cid", "alice", str(history(api, "cid", "alice")[0].sent_at))
    assert [message.message_id for message in history(api, "cid", "alice")] == [new]
    assert [message.message_id for message in history(api, "alice", "cid")] == [new, old]


def test_a_wrong_secret_raises_the_sdks_unauthorized(running: Up) -> None:
    with client(running, "wrong") as opened, pytest.raises(UnauthorizedException) as raised:
        history(ncsdk.MessageManagementApi(opened), "bob", "alice")
    assert (raised.value.status, raised.value.error_code) == (401, 1004)
    assert "Signature" in str(raised.value.error_message)


def test_bad_input_raises_the_sdks_bad_request(api: Any) -> None:
    with pytest.raises(BadRequestException) as raised:
        send(api, "to myself", to="alice")
    assert (raised.value.status, raised.value.error_code) == (400, 1002)
    assert "toUserIds" in str(raised.value.error_message)
    with pytest.raises(BadRequestException) as raised:
        clean(api, "bob", "alice", "yesterday")
    assert raised.value.error_code == 1002
    with pytest.raises(BadRequestException) as raised:
        send(api, "x", to="y" * 65)
    assert raised.value.error_code == 1005


TEXT: dict[str, Any] = {"messageType": "RC:TxtMsg", "content": '{"content":"hi"}'}


@pytest.fixture
def opened(running: Up) -> Iterator[Any]:
    with client(running) as one:
        yield one


def page(user: str, channel: str) -> dict[str, Any]:
    now = now_ms() + 1000
    times = {"startAt": now, "endAt": now - DAY_MS, "pageSize": 100, "includeStart": True}
    return {"userId": user, "channelId": channel, **times}


def test_a_group_from_its_making_to_its_end(opened: Any) -> None:
    groups: Any = ncsdk.GroupChannelManagementApi(opened)
    messages: Any = ncsdk.MessageManagementApi(opened)
    create = GroupChannelCreateRequest(channelId="sdk", name="SDK", owner="olga", userIds=["alice"])
    assert groups.create_group_channel(create).code == 0
    with pytest.raises(ConflictException) as conflict:
        groups.create_group_channel(create)
    assert (conflict.value.status, conflict.value.error_code) == (409, 409)

    def group_send(content: str, **more: Any) -> str:
        answer = messages.send_group_channel_message(
            GroupChannelMessageSendRequest(
                fromUserId="alice", toChannelIds=["sdk"], messageType="RC:TxtMsg", content=content, **more
            )
        )
        (delivery,) = answer.result.message_ids
        assert (answer.code, delivery.channel_id) == (0, "sdk")
        id_: str = delivery.message_id
        return id_

    def read(user: str) -> list[str]:
        request = GroupChannelHistoryMessageListRequest(**page(user, "sdk"))
        answer = messages.list_group_channel_history_messages(request)
        return [message.content for message in answer.result.messages]

    group_send("before")
    joined = groups.join_group_channel(GroupChannelJoinRequest(channelId="sdk", userIds=["zoe"]))
    assert (joined.code, joined.result.channel_id, joined.result.owner) == (0, "sdk", "olga")
    group_send("for all", isEchoToSender=1, hasMetadata=True, metadata={"topic": "food"})
    targeted = group_send("for olga", toUserIds=["olga"])
    assert read("zoe") == ["for all"]
    assert read("olga") == ["for olga", "for all", "before"]
    change = {"fromUserId": "alice", "channelId": "sdk", "messageId": targeted, "content": "for you"}
    assert messages.update_group_channel_message(GroupChannelMessageUpdateRequest(**change)).code == 0
    assert read("olga") == ["for you", "for all", "before"]

    listed = groups.list_group_channel_members(
        GroupChannelMemberListRequest(channelId="sdk", pageSize=2, order=0)
    ).result
    assert (listed.total_count, len(listed.members)) == (3, 2)
    rest = groups.list_group_channel_members(
        GroupChannelMemberListRequest(channelId="sdk", pageSize=2, order=0, pageToken=listed.page_token)
    ).result
    members = {member.user_id: member.role for member in [*listed.members, *rest.members]}
    assert members == {"olga": 3, "alice": 1, "zoe": 1}
    mine = groups.list_user_joined_group_channels(GroupChannelJoinedListRequest(userId="zoe")).result.groups
    assert [(group.channel_id, group.name, group.member_count, group.role) for group in mine] == [
        ("sdk", "SDK", 3, 1)
    ]

    left = groups.quit_group_channel(GroupChannelQuitRequest(channelId="sdk", userIds=["zoe"]))
    assert (left.code, read("zoe")) == (0, [])
    assert groups.dismiss_group_channel(GroupChannelDismissRequest(channelId="sdk")).code == 0
    assert read("olga") == []
    with pytest.raises(NotFoundException) as missing:
        groups.dismiss_group_channel(GroupChannelDismissRequest(channelId="sdk"))
    assert (missing.value.status, missing.value.error_code) == (404, 404)
    with pytest.raises(NotFoundException) as missing:
        group_send("late")
    assert "There is no group 'sdk'" in str(missing.value.error_message)


def test_an_open_channel_from_its_making_to_its_end(opened: Any) -> None:
    channels: Any = ncsdk.OpenChannelManagementApi(opened)
    messages: Any = ncsdk.MessageManagementApi(opened)
    create = OpenChannelCreateRequest(channelId="hall", destroyType=0, ttlMinutes=60)
    assert channels.create_open_channel(create).code == 0
    request = OpenChannelMessageSendRequest(
        fromUserId="alice", toChannelIds=["hall"], isEchoToSender=1, priority=0, **TEXT
    )
    (delivery,) = messages.send_open_channel_message(request).result.message_ids
    history = OpenChannelHistoryMessageListRequest(**page("anyone", "hall"))
    (message,) = messages.list_open_channel_history_messages(history).result.messages
    assert (message.message_id, message.content) == (delivery.message_id, TEXT["content"])
    assert channels.destroy_open_channels(OpenChannelDestroyRequest(channelIds=["hall"])).code == 0
    assert messages.list_open_channel_history_messages(history).result.messages == []
    with pytest.raises(NotFoundException) as missing:
        messages.send_open_channel_message(request)
    assert missing.value.error_code == 404


def test_a_message_is_taken_back(api: Any) -> None:
    first, second = send(api, "one", to="dan"), send(api, "two", to="dan")
    request = MessageDeleteRequest(fromUserId="alice", channelType=1, channelId="dan", messageId=first)
    for _ in range(2):
        assert api.delete_message(request).code == 0
    for user, other in (("dan", "alice"), ("alice", "dan")):
        assert [message.message_id for message in history(api, user, other)] == [second]
    with pytest.raises(BadRequestException) as raised:
        api.delete_message(
            MessageDeleteRequest(fromUserId="dan", channelType=1, channelId="alice", messageId=second)
        )
    assert raised.value.error_code == 1002


def test_a_message_is_changed_in_its_place(api: Any) -> None:
    first, second = send(api, "one", to="eli"), send(api, "two", to="eli")
    change = {"fromUserId": "alice", "messageId": first, "content": '{"content":"eins"}'}
    request = DirectChannelMessageUpdateRequest(targetId="eli", **change)
    assert api.update_direct_channel_message(request).code == 0
    for user, other in (("eli", "alice"), ("alice", "eli")):
        listed = [(message.message_id, message.content) for message in history(api, user, other)]
        assert listed == [(second, "two"), (first, '{"content":"eins"}')]
    with pytest.raises(BadRequestException) as raised:
        api.update_direct_channel_message(
            DirectChannelMessageUpdateRequest(targetId="alice", **{**change, "fromUserId": "eli"})
        )
    assert raised.value.error_code == 1002
    with pytest.raises(NotFoundException) as missing:
        api.update_direct_channel_message(DirectChannelMessageUpdateRequest(targetId="bob", **change))
    assert missing.value.error_code == 404


def test_a_system_message_reaches_its_users(running: Up, opened: Any) -> None:
    answer = ncsdk.SystemMessagesApi(opened).send_system_channel_message(
        SystemChannelMessageSendRequest(fromUserId="news", toUserIds=["bob", "eva"], **TEXT)
    )
    assert answer.code == 0
    assert ('{"content":"hi"}', "missed") in Backend(running.demo()).given("eva")


def test_access_tokens_are_issued_and_let_end(running: Up, opened: Any) -> None:
    users: Any = ncsdk.UserManagementApi(opened)
    backend = Backend(running.demo())
    issued = users.issue_access_token(AccessTokenIssueRequest(userId="bob", name="Bob")).result
    assert issued.user_id == "bob"

    def ask() -> int:
        headers = {"Authorization": f"Bearer {issued.access_token}"}
        return backend.request("POST", "/v4/user/device/list", {"userId": "bob"}, headers)[0]

    assert ask() == 200
    assert users.expire_access_token(AccessTokenExpireRequest(userIds=["bob"], expiresAt=1)).code == 0
    assert ask() == 401
