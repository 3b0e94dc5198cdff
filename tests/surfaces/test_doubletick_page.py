"""What docs/surfaces.md says of DoubleTick: its calls, and the cURL for a bot, which clears a chat as it stands there."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from pathlib import Path

import msgspec
import pytest

from server.samples import ADDRESS
from server.surfaces.doubletick import ROUTES
from tests.api.client import Api

PAGE = Path(__file__).parents[2] / "docs" / "surfaces.md"
KEY, CUSTOMER, BUSINESS = "YOUR_API_KEY", "919999999999", "910000000001"
DONE = {"success": True, "message": "Added in queue for deletion."}


def printed() -> str:
    """The first block of the section about the bot."""
    section = PAGE.read_text().partition("### For a bot: import this cURL\n")[2]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def filled(api: Api) -> str:
    """The same for this server and this app."""
    text = printed()
    for word in (ADDRESS, KEY, CUSTOMER, BUSINESS):
        assert text.count(word) == 1
    return text.replace(ADDRESS, str(api.client.make_url("")).rstrip("/")).replace(KEY, api.keys.api_key)


async def check_cleared(api: Api, answer: bytes) -> None:
    body = msgspec.json.decode(answer)
    assert body.pop("requestId")
    assert body == DONE
    assert await api.contents(BUSINESS, CUSTOMER) == []
    assert await api.contents(CUSTOMER, BUSINESS) == ["answer"]
    assert await api.contents(BUSINESS, "919999999998") == ["other"]


def test_every_call_has_a_row_and_no_other_is_said_to_be_there() -> None:
    calls = (
        PAGE.read_text().partition("## DoubleTick\n")[2].partition("### Its calls\n")[2].partition("\n**")[0]
    )
    there = re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)` \| (?:yes|in part) ", calls, re.MULTILINE)
    assert sorted(there) == sorted(f"{route.method} {route.path}" for route in ROUTES)


@pytest.fixture
async def api(api: Api) -> Api:
    """With a chat to be cleared, and one to be left."""
    await api.send(CUSTOMER, BUSINESS, content="question")
    await api.send(BUSINESS, CUSTOMER, content="answer", isEchoToSender=1)
    await api.send("919999999998", BUSINESS, content="other")
    assert await api.contents(BUSINESS, CUSTOMER) == ["answer", "question"]
    return api


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_run_by_a_shell_it_clears_the_chat(api: Api) -> None:
    script = filled(api).replace("curl ", "curl --silent --show-error --fail ", 1)
    process = await asyncio.create_subprocess_exec(
        "sh", "-euc", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    written, complaints = await process.communicate()
    assert process.returncode == 0, complaints
    await check_cleared(api, written)


async def test_imported_as_a_bot_does_it_clears_the_chat(api: Api) -> None:
    """A bot runs no curl: it takes method, address, headers and body from the words, as this does."""
    words = shlex.split(filled(api).replace("\\\n", " "))
    assert words[0] == "curl"
    given = list(zip(words[1::2], words[2::2], strict=True))
    options = {name: value for name, value in given if name != "--header"}
    headers = dict(value.split(": ", 1) for name, value in given if name == "--header")
    assert set(options) == {"--request", "--url", "--data"}
    path = options["--url"].removeprefix(str(api.client.make_url("")).rstrip("/"))
    data = options["--data"].encode()
    answer = await api.request(options["--request"], path, data=data, headers=headers)
    assert answer.status == 200
    await check_cleared(api, answer.body)
