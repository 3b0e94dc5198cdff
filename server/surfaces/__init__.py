"""The foreign APIs: one adapter each over the same services. A row of ROUTES is what one of them adds to the server."""

from __future__ import annotations

from server.surface import Route
from server.surfaces import clarity, doubletick, rongcloud, ryze, tencent

ROUTES: tuple[Route, ...] = (
    *rongcloud.ROUTES,
    *doubletick.ROUTES,
    *clarity.ROUTES,
    *tencent.ROUTES,
    *ryze.ROUTES,
)
