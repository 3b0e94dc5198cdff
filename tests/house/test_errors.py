"""Every error that is raised on purpose has its answer; every other has one without detail."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from history import errors as tree
from history.errors import InvalidInput, NotConfirmed, RateLimited, TidemarkError, Unavailable
from server import errors as edge
from server.errors import ANSWERS, INTERNAL, answer
from server.middleware import answer_errors
from tests.api.client import SYNC, open_api

# SURFACES 1.3: the HTTP statuses that go with each code of the field
STATUSES = {
    403: {403},
    404: {404},
    409: {409},
    # ours: the field has no previews
    4091: {409},
    4092: {409},
    1000: {500, 503},
    1001: {401},
    1002: {400},
    1003: {400},
    1004: {401},
    1005: {400},
    1007: {405},
    1008: {429},
    1009: {430},
    1508: {413},
}


def classes() -> Iterator[type[TidemarkError]]:
    for module in (tree, edge):
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, TidemarkError) and found.__module__ == module.__name__:
                yield found


def leaves() -> set[type[TidemarkError]]:
    ours = set(classes())
    return {found for found in ours if not any(other.__base__ is found for other in ours)}


def name_of(class_: type[TidemarkError]) -> str:
    return class_.__name__


def made(class_: type[TidemarkError]) -> TidemarkError:
    """One of them, with a sentence."""
    if issubclass(class_, InvalidInput):
        return class_("field", "A sentence.")
    if issubclass(class_, RateLimited):
        return class_("A sentence.", retry_after=7)
    if issubclass(class_, NotConfirmed):
        return class_("A sentence.", messages=7, channels=2, confirm="a hash")
    return class_("A sentence.")


def test_every_leaf_has_a_row_of_its_own() -> None:
    assert leaves() <= set(ANSWERS)
    assert set(ANSWERS) <= set(classes())


def test_every_row_is_a_code_of_the_field_in_its_status() -> None:
    for class_, row in ANSWERS.items():
        assert row.status in STATUSES[row.code], class_


def test_what_may_be_tried_again_is_503_and_says_when() -> None:
    for class_ in classes():
        if issubclass(class_, Unavailable) and class_ is not Unavailable:
            assert answer(made(class_)).status == 503


def test_the_tree_in_the_docstring_is_the_tree_there_is() -> None:
    assert tree.__doc__ is not None
    for class_ in classes():
        if class_.__module__ == tree.__name__:
            assert class_.__name__ in tree.__doc__
            assert inspect.getdoc(class_)


LEAVES: list[type[TidemarkError]] = sorted(leaves(), key=name_of)


@pytest.mark.parametrize("class_", LEAVES, ids=name_of)
async def test_each_is_answered_by_its_row(class_: type[TidemarkError]) -> None:
    async def fail(_: web.Request) -> web.StreamResponse:
        raise made(class_)

    response = await answer_errors(make_mocked_request("POST", "/", headers={"X-Request-ID": "1"}), fail)
    assert isinstance(response, web.Response)
    row = ANSWERS[class_]
    assert response.status == row.status
    more = ',"messages":7,"channels":2,"confirm":"a hash"' if class_ is NotConfirmed else ""
    assert response.body == f'{{"code":{row.code},"errorMessage":"A sentence."{more}}}'.encode()
    assert response.headers["X-Request-ID"] == "1"
    retry = {"RateLimited": "7"}.get(class_.__name__, "1" if issubclass(class_, Unavailable) else None)
    assert response.headers.get("Retry-After") == retry


async def test_what_nobody_expected_is_a_500_without_detail(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_api(database_url, redis_url) as api:

        async def break_down(*_: object, **__: object) -> None:
            raise ZeroDivisionError("the secret of the house")

        monkeypatch.setattr("history.apps.service.Apps.find", break_down)
        answered = await api.post(SYNC, {"userId": "a", "deviceId": "b"})
        sentence = answered.refused(INTERNAL.status, INTERNAL.code)
        assert "secret" not in sentence
        assert "ZeroDivision" not in answered.body.decode()
        assert "ZeroDivisionError" in "".join(capfd.readouterr())
