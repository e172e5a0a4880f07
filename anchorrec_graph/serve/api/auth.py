"""Who may ask: the name that the server is called by, and the token."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.api.errors import ApiError

COOKIE = "anchorrec_token"
SHORTEST = 16
OPEN = frozenset({"/health"})


def read_token(path: Path) -> str:
    """The token of a file, without the blanks around it.

    Raises:
        ConfigError: it cannot be read, or the token is too short or no plain text.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {path}: cannot be read as plain text") from error
    if len(token) < SHORTEST or not token.isprintable() or set(token) & set(' ",;\\'):
        raise ConfigError(
            f"--token-file {path}: a token has {SHORTEST} or more letters or digits and nothing else; "
            "python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    return token


def check_host(headers: Headers, hosts: frozenset[str] | None) -> None:
    """Refuse a request to another name than the server's (`ServeSettings.hosts`).

    Raises:
        ApiError: 421.
    """
    if hosts is None:
        return
    name = headers.get("host", "")
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name.lower() not in hosts:
        raise ApiError(
            421, "invalid", "this server answers to localhost; start it with --host or --token-file"
        )


def check_token(scope: Scope, headers: Headers, token: str | None) -> None:
    """
    Raises:
        ApiError: 401, or 303 to store the token that the address of the page brings.
    """
    if token is None or scope["path"] in OPEN:
        return
    given = headers.get("authorization", "").partition(" ")[2] or _cookie(headers.get("cookie", ""))
    if _equal(given, token) or (scope["path"] == "/" and _equal(_query_token(scope), token)):
        return
    raise ApiError(
        401, "unauthorized", "send 'Authorization: Bearer TOKEN', or open /?token=TOKEN in a browser once",
        headers={"WWW-Authenticate": "Bearer"},
    )  # fmt: skip


def remember(scope: Scope, token: str) -> Response | None:
    """For a page opened with `?token=`: store it as a cookie and open the page without it."""
    if not _equal(_query_token(scope), token):
        return None
    rest = urlencode([(key, value) for key, value in _pairs(scope) if key != "token"])
    answer = RedirectResponse(f"/?{rest}" if rest else "/", 303)
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict")
    return answer


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _query_token(scope: Scope) -> str:
    return dict(_pairs(scope)).get("token", "")


def _pairs(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
