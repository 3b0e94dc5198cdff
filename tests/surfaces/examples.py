"""A request for every route of the surfaces that is right, over the scene of tests.api.bodies; the matrix walks these."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

from tests.api.bodies import Scene
from tests.api.client import Answer, Api
from tests.surfaces.example import Example, Place
from tests.surfaces.examples_clarity import clarity
from tests.surfaces.examples_doubletick import doubletick
from tests.surfaces.examples_rongcloud import rongcloud
from tests.surfaces.examples_ryze import ryze
from tests.surfaces.examples_tencent import tencent

Examples = Callable[[Scene, int], dict[Place, Example]]
"""From the scene and the time in milliseconds."""

ALL: tuple[Examples, ...] = (rongcloud, doubletick, clarity, tencent, ryze)


def examples(scene: Scene, now: int) -> dict[Place, Example]:
    """All of them."""
    return {place: example for some in ALL for place, example in some(scene, now).items()}


async def send(api: Api, place: Place, example: Example, headers: dict[str, str], **query: str) -> Answer:
    """The request, with these headers and what else stands in its query."""
    method, path = place
    for name, text in example.names.items():
        path = path.replace(f"{{{name}}}", text)
    words = urlencode({**example.query, **query}, doseq=True)
    data, kind = None, {}
    if example.body is not None and example.form:
        data = urlencode(example.body, doseq=True).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
    elif example.body is not None:
        data = json.dumps(example.body).encode()
    return await api.request(
        method, f"{path}?{words}" if words else path, data=data, headers={**kind, **headers}
    )
