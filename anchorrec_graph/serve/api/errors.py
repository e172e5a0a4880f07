"""What a caller is told when a request cannot be answered: a code for programs, a sentence for people.

    {"error": {"code": "unknown_item", "message": "...", "field": "item"}}

Never a path of the server, a traceback, or an id that the caller did not send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from anchorrec_graph.errors import AnchorRecError, ConfigError, DataError
from anchorrec_graph.text import first_line, printable

Code = Literal[
    "unknown_user", "unknown_item", "unknown_column", "invalid", "too_large", "unsupported", "unauthorized",
    "overloaded", "not_found", "internal",
]  # fmt: skip
PATH = re.compile(r"(?<![\w/])(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\":;,]+[/\\])+[^\s'\":;,]*")
LONGEST = 400


class ApiError(HTTPException):
    """An answer other than success. Raised anywhere below the routes."""

    def __init__(
        self,
        status: int,
        code: Code,
        message: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code, self.message, self.field = code, clean(message), None if field is None else clean(field)


def response_of(error: ApiError) -> Response:
    body = {"error": {"code": error.code, "message": error.message, "field": error.field}}
    return Response(orjson.dumps(body), error.status_code, error.headers, "application/json")


def clean(text: str) -> str:
    """One line of valid Unicode, not too long."""
    return printable(text[: 2 * LONGEST].encode("utf-8", "replace").decode("utf-8"))[:LONGEST]


def without_paths(text: str) -> str:
    """The text with `...` for what looks like an absolute path of the server."""
    return PATH.sub("...", text)


def overloaded(message: str = "too many requests at the moment; try again") -> ApiError:
    return ApiError(503, "overloaded", message, headers={"Retry-After": "1"})


def internal(request_id: str) -> ApiError:
    return ApiError(500, "internal", f"the server failed; its log has the reason under {request_id}")


def of_catalog(error: AnchorRecError) -> ApiError | None:
    """The answer to what a `Catalog` refuses; None if that is no fault of the caller."""
    message = without_paths(first_line(error))
    if isinstance(error, DataError):
        return ApiError(422, "unknown_column" if "unknown item column" in message else "invalid", message)
    if isinstance(error, ConfigError):
        return ApiError(501, "unsupported", message)
    return None


def of_http(error: HTTPException) -> ApiError:
    """The framework's own refusals: no such address, a wrong method, a body that cannot be parsed."""
    if isinstance(error, ApiError):
        return error
    if error.status_code == 404:
        return ApiError(404, "not_found", "no such address; GET /openapi.json lists them")
    if error.status_code == 405:
        return ApiError(405, "invalid", "this address has other methods", headers=error.headers)
    return ApiError(422, "invalid", f"the body cannot be read ({without_paths(str(error.detail))})")


def of_validation(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The first of pydantic's complaints, without the value that it complains of."""
    first = errors[0]
    place = [str(part) for part in first["loc"]][1:]
    field = ".".join(place) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", "damaged")
        return ApiError(422, "invalid", f"the body is no JSON ({reason})")
    if not place and first["type"] in ("model_attributes_type", "model_type", "missing"):
        return ApiError(422, "invalid", "the body must be a JSON object, sent as application/json")
    return ApiError(422, "invalid", f"{field}: {message}" if field else message, field)
