"""`Service`: what the routes share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from anchorrec_graph.errors import AnchorRecError
from anchorrec_graph.serve.api.answers import ErrorAnswer
from anchorrec_graph.serve.api.errors import of_catalog
from anchorrec_graph.serve.api.holder import Holder
from anchorrec_graph.serve.api.metrics import Metrics
from anchorrec_graph.serve.api.new_item import Encoders
from anchorrec_graph.serve.api.page import Asset
from anchorrec_graph.serve.api.pool import Pool
from anchorrec_graph.serve.api.settings import ServeSettings

JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class Service:
    """The models, the threads that work on them, and the settings of one process."""

    def __init__(
        self,
        settings: ServeSettings,
        holder: Holder,
        encoders: Encoders,
        metrics: Metrics,
        page: dict[str, Asset],
    ) -> None:
        self.settings, self.holder, self.encoders = settings, holder, encoders
        self.metrics, self.page, self.limits = metrics, page, settings.limits
        self.pool = Pool("anchorrec", self.limits.threads, self.limits.waiting)
        self.encoding = Pool("anchorrec-encode", 1, self.limits.encodings)

    async def answer(self, make: Callable[[], Any]) -> Response:
        """JSON of what a call on a model gives, made and serialised in a thread."""
        return Response(await self.pool.run(lambda: to_json(refused(make))), media_type="application/json")

    def close(self) -> None:
        self.pool.close()
        self.encoding.close()


def refused(make: Callable[[], Any]) -> Any:
    """The value of a call on a catalog.

    Raises:
        ApiError: the catalog refuses, by the caller's fault.
    """
    try:
        return make()
    except AnchorRecError as error:
        answer = of_catalog(error)
        if answer is None:
            raise
        raise answer from error


def to_json(value: Any) -> bytes:
    """NaN and infinity, which JSON has not, become null."""
    return orjson.dumps(value, default=str, option=JSON_OPTIONS)


def note_ids(request: Request, **ids: Any) -> None:
    """For the log, which writes them only with --log-ids."""
    request.scope["state"]["ids"] = ids


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its description."""
    always = (401, 408, 413, 421, 422, 500, 503)
    return {status: {"model": ErrorAnswer} for status in sorted({*always, *statuses})}
