"""The official Python SDK of the v4 API, unmodified, against a running `tidemark up`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ncsdk
import pytest
from ncsdk.exceptions import BadRequestException, UnauthorizedException
from ncsdk.models.channel_message_history_delete_request import ChannelMessageHistoryDeleteRequest
from ncsdk.models.direct_channel_history_message_list_request import DirectChannelHistoryMessageListRequest
from ncsdk.models.direct_channel_message_send_request import DirectChannelMessageSendRequest

from tests.api.backend import now_ms
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
