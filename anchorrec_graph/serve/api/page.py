"""The page: files that are read once at the start, so that no request can name another one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from anchorrec_graph.serve.api.errors import ApiError

FOLDER = Path(__file__).parents[1] / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
INDEX = "index.html"


class Asset(NamedTuple):
    content: bytes
    type: str
    tag: str


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """The files of the page by their path below its folder; those of other types are left out."""
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix in TYPES and path.is_file())
    return {path.relative_to(folder).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')


def respond(assets: dict[str, Asset], name: str, request: Request) -> Response:
    """
    Raises:
        ApiError: there is no such file.
    """
    asset = assets.get(name)
    if asset is None:
        what = "this installation has no page" if name == INDEX else "the page has no such file"
        raise ApiError(404, "not_found", what)
    headers = {"etag": asset.tag, "cache-control": "no-cache"}  # kept, but asked for again
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.type)
