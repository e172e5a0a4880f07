"""/health, /metrics, /api/catalog, and the page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from anchorrec_graph.serve.api import auth, page
from anchorrec_graph.serve.api.answers import CatalogAnswer, HealthAnswer
from anchorrec_graph.serve.api.metrics import TYPE
from anchorrec_graph.serve.api.schemas import NoQuery
from anchorrec_graph.serve.api.service import Service, errors, to_json
from anchorrec_graph.train.environment import version


def add_about(app: FastAPI, service: Service) -> None:
    holder, number = service.holder, version("anchorrec_graph")

    @app.get("/health", responses={200: {"model": HealthAnswer}}, tags=["server"])
    async def health() -> Response:
        """Alive, and what is served. Needs no token."""
        catalog = holder.model().catalog
        problems = {key: slot.problem for key, slot in holder.slots.items() if slot.problem}
        body = {
            "status": "degraded" if problems else "ok",
            "model": catalog.name,
            "users": len(catalog.user_ids),
            "items": len(catalog.items),
            "version": number,
            "problems": problems,
        }
        return Response(to_json(body), media_type="application/json")

    @app.get("/metrics", responses={200: {"content": {"text/plain": {}}}, **errors()}, tags=["server"])
    async def metrics() -> Response:
        """Counts and times in Prometheus's text format."""
        models = [{"model": model.key, "name": model.catalog.name} for model in holder.models]
        return Response(service.metrics.text(models, service.pool.busy), media_type=TYPE)

    @app.get("/api/catalog", responses={200: {"model": CatalogAnswer}, **errors()}, tags=["catalog"])
    async def catalog(query: Annotated[NoQuery, Query()]) -> Response:  # noqa: ARG001  refuses other parameters
        """Models, columns to filter on, and what this server can do."""
        return await service.answer(lambda: about(service))

    @app.get("/openapi.json", include_in_schema=False)
    async def description() -> Response:
        return await service.answer(app.openapi)

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        token = service.settings.token
        remembered = None if token is None else auth.remember(request.scope, token)
        return remembered or page.respond(service.page, page.INDEX, request)

    @app.get("/page/{name:path}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Response:
        return page.respond(service.page, name, request)


def about(service: Service) -> dict[str, Any]:
    models = service.holder.models
    return {
        "models": [model.about() for model in models],
        "columns": [column._asdict() for column in models[0].columns],
        "images": any(model.pictures for model in models),
        "encoders": service.encoders.parts,
        "limits": service.limits._asdict(),
    }
