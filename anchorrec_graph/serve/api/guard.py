"""What surrounds every request: who may ask, how much and for how long, and what is written down of it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anchorrec_graph.serve.api import auth
from anchorrec_graph.serve.api.errors import ApiError, internal, overloaded, response_of
from anchorrec_graph.serve.api.limits import Limits
from anchorrec_graph.serve.api.logs import event, failure
from anchorrec_graph.serve.api.metrics import Metrics
from anchorrec_graph.serve.api.settings import ServeSettings

UPLOAD = "/api/new-item"
FORM_BYTES = 128 * 2**10  # what a form has beside its picture
METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"})
SECURITY = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, self._settings.limits)
        try:
            async with asyncio.timeout(self._settings.limits.request_seconds):
                await self._answer(scope, exchange)
        except TimeoutError:
            await exchange.refuse(overloaded("no answer in time; try again"))
        except Exception as error:
            event("failed", logging.ERROR, id=exchange.id, **failure(error, self._settings.log_ids))
            await exchange.refuse(internal(exchange.id))
        finally:
            self._record(scope, exchange)

    async def _answer(self, scope: Scope, exchange: Exchange) -> None:
        try:
            auth.check_host(exchange.headers, self._settings.hosts)
            auth.check_token(scope, exchange.headers, self._settings.token)
            exchange.check_length()
        except ApiError as error:
            await exchange.refuse(error)
        else:
            await self._app(scope, exchange.receive, exchange.send)

    def _record(self, scope: Scope, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        route = getattr(scope.get("route"), "path_format", "other")
        self._metrics.observe(route, exchange.status, seconds)
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        ids: dict[str, Any] = scope["state"].get("ids", {}) if self._settings.log_ids else {}
        event(
            "request", id=exchange.id, method=method, route=route, status=exchange.status,
            ms=round(seconds * 1000, 2), bytes=exchange.sent, **ids,
        )  # fmt: skip


class Exchange:
    """One request and its answer: counts what comes in and goes out, and adds the headers of every answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        scope.setdefault("state", {})
        self.headers, self._scope, self._receive, self._send = Headers(scope=scope), scope, receive, send
        self.id, self.started = secrets.token_hex(4), time.perf_counter()
        self.status, self.sent, self._received, self._ended = 500, 0, 0, False
        self._most = limits.upload_bytes + FORM_BYTES if scope["path"] == UPLOAD else limits.json_bytes
        self._deadline, self._seconds = self.started + limits.body_seconds, limits.body_seconds
        self._begun = False

    def check_length(self) -> None:
        """
        Raises:
            ApiError: the headers announce more than is allowed.
        """
        announced = self.headers.get("content-length", "0")
        if not announced.isdecimal() or len(announced) > 18 or int(announced) > self._most:
            raise self._too_large()

    async def receive(self) -> Message:
        """
        Raises:
            ApiError: the body is too long, or too slow.
        """
        if self._ended:
            return await self._receive()
        try:
            async with asyncio.timeout(max(self._deadline - time.perf_counter(), 0)):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(408, "invalid", f"the body took more than {self._seconds:g} s") from None
        self._received += len(message.get("body", b""))
        if self._received > self._most:
            raise self._too_large()
        self._ended = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun, self.status = True, message["status"]
            self._add_headers(message)
        await self._send(message)
        self.sent += len(message.get("body", b""))

    def _add_headers(self, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in SECURITY.items():
            headers[name] = value
        headers["x-request-id"] = self.id
        headers.setdefault("cache-control", "no-store")
        has_body = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
        if (has_body or self._received) and not self._ended:
            headers["connection"] = "close"  # else the rest of the body would be read, however long it takes

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error, unless an answer has begun: the server then cuts the connection."""
        if not self._begun:
            await response_of(error)(self._scope, self.receive, self.send)

    def _too_large(self) -> ApiError:
        return ApiError(413, "too_large", f"the body may have {self._most} bytes")
