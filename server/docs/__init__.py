"""/docs: the reference page, made in the browser from /openapi.json by Swagger UI.

Everything comes from here: Swagger UI's files from an installed package that is never imported, the page's own from beside
this module. The page runs nothing else, sends nothing anywhere else, and is shown in nobody's frame. It opens no door: what
*Try it* sends is let in by the keys that its reader types.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import distribution
from pathlib import Path

from aiohttp import web

_OURS = Path(__file__).parent
_PACKAGE = "mkdocs-swagger-ui-tag"
_FOLDER = "mkdocs_swagger_ui_tag/swagger-ui"
_SWAGGER_UI = {
    "swagger-ui-bundle.js": "javascripts/swagger-ui-bundle.js",
    "swagger-ui.css": "stylesheets/swagger-ui.css",
}
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    # the icons of Swagger UI are data: addresses
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # asked for again each time, answered with 304 where nothing changed
    "Cache-Control": "no-cache",
}


def files() -> dict[str, Path]:
    """Path by path what is served."""
    found = Path(str(distribution(_PACKAGE).locate_file(_FOLDER)))
    return {
        "/docs": _OURS / "page.html",
        **{f"/docs/{name}": _OURS / name for name in ("page.js", "page.css")},
        **{f"/docs/{name}": found / path for name, path in _SWAGGER_UI.items()},
    }


def add_docs(app: web.Application) -> None:
    """Serve the page and its files, to anyone."""
    for path, file in files().items():
        app.router.add_get(path, _serve(file))


def _serve(file: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    headers = {**HEADERS, "Content-Type": f"{_TYPES[file.suffix]}; charset=utf-8"}

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(file, headers=headers)

    return handle
