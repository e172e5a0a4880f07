"""`create_app`: the application of one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from anchorrec_graph.serve.api.errors import of_http, of_validation, response_of
from anchorrec_graph.serve.api.guard import Guard
from anchorrec_graph.serve.api.holder import Holder
from anchorrec_graph.serve.api.metrics import Metrics
from anchorrec_graph.serve.api.model import Model, make_model, open_catalog
from anchorrec_graph.serve.api.new_item import Encoders
from anchorrec_graph.serve.api.page import read_assets
from anchorrec_graph.serve.api.routes.about import add_about
from anchorrec_graph.serve.api.routes.lists import add_lists
from anchorrec_graph.serve.api.routes.new_items import add_new_item
from anchorrec_graph.serve.api.routes.ranking import add_ranking
from anchorrec_graph.serve.api.service import Service
from anchorrec_graph.serve.api.settings import ServeSettings
from anchorrec_graph.train.environment import version

ABOUT = """Recommendations of a trained model: for users, for strangers with some items, and for new items.

Every error is `{"error": {"code", "message", "field"}}`. The limits are in `/api/catalog`."""


def create_app(settings: ServeSettings, metrics: Metrics | None = None) -> FastAPI:
    """Load the models and encoders, and make the application.

    Raises:
        AnchorRecError: a model, a picture folder or an encoder cannot be loaded.
    """
    encoders, numbers = Encoders(settings.encoders), metrics or Metrics()

    def load(key: str, folder: Path) -> Model:
        catalog = open_catalog(folder)
        encoders.check(catalog)
        return make_model(key, catalog, settings.images)

    holder = Holder(settings.folders, load, numbers)
    return app_of(Service(settings, holder, encoders, numbers, read_assets()))


def app_of(service: Service) -> FastAPI:
    """The application over a service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watch = asyncio.create_task(service.holder.watch(service.settings.poll_seconds))
        yield
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        service.close()

    app = FastAPI(
        title="anchorrec", description=ABOUT, version=version("anchorrec_graph") or "0", lifespan=lifespan,
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )  # fmt: skip
    _add_errors(app)
    add_about(app, service)
    add_lists(app, service)
    add_ranking(app, service)
    add_new_item(app, service)
    app.add_middleware(Guard, settings=service.settings, metrics=service.metrics)
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return response_of(of_http(error))

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> Response:
        return response_of(of_validation(error.errors()))
