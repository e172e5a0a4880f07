"""One line of JSON per event, on standard error.

A request is told by its route, never by its address, and without its body, its user and who asked.
`--log-ids` adds the ids of user and item, for a search after an error.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

logger = logging.getLogger("anchorrec.serve")


class JsonLines(logging.Formatter):
    """`logger.info("request", extra={"fields": {...}})` as one line."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = getattr(record, "fields", {})
        line = {"time": when, "level": record.levelname.lower(), "event": record.getMessage(), **fields}
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure() -> None:
    """Write this server's log to standard error, and of the libraries' only what stops the server."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("anchorrec.serve", "uvicorn", "python_multipart"):
        log = logging.getLogger(name)
        log.handlers[:], log.propagate = [handler], False
        log.setLevel(logging.INFO if name == "anchorrec.serve" else logging.CRITICAL)


def event(name: str, level: int = logging.INFO, **fields: Any) -> None:
    logger.log(level, name, extra={"fields": fields})


def failure(error: BaseException, with_message: bool) -> dict[str, Any]:
    """Where an error came from. Its message may hold ids, so it is told only with --log-ids."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    fields: dict[str, Any] = {
        "error": type(error).__name__,
        "at": [
            f"{frame.filename.rpartition('anchorrec_graph')[2] or '?'}:{frame.lineno}" for frame in frames
        ],
    }
    return fields | ({"message": str(error)} if with_message else {})
