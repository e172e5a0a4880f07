"""/api/items, /api/users: finding ids, cards and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import polars as pl
from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from anchorrec_graph.serve.api import answers
from anchorrec_graph.serve.api.errors import ApiError
from anchorrec_graph.serve.api.images import FRESH, read_picture
from anchorrec_graph.serve.api.model import Model
from anchorrec_graph.serve.api.schemas import ItemsQuery, NoQuery, UsersQuery
from anchorrec_graph.serve.api.service import Service, errors, note_ids, refused
from anchorrec_graph.serve.filters import allowed_items

PICTURES: dict[str, Any] = {
    "content": {kind: {} for kind in ("image/jpeg", "image/png", "image/webp", "image/gif")}
}


def add_lists(app: FastAPI, service: Service) -> None:
    @app.get("/api/items", responses={200: {"model": answers.ItemsAnswer}, **errors()}, tags=["catalog"])
    async def items(query: Annotated[ItemsQuery, Query()]) -> Response:
        """Items whose title or id holds every word of q, and that pass the filters."""
        model = service.holder.model(query.model)
        return await service.answer(lambda: find_items(model, query))

    @app.get("/api/items/{item_id:path}/image", responses={200: PICTURES, **errors(404)}, tags=["catalog"])
    async def image(item_id: str, query: Annotated[NoQuery, Query()], request: Request) -> Response:
        """The picture of an item, from files that were found when the server started."""
        model = service.holder.model(query.model)
        note_ids(request, item=item_id)
        path = model.pictures.get(model.item(item_id, "item_id"))
        if path is None:
            raise ApiError(404, "not_found", "this item has no picture")
        picture = await service.pool.run(lambda: read_picture(path, service.limits.pixels))
        headers = {"etag": picture.tag, "cache-control": FRESH}
        if request.headers.get("if-none-match") == picture.tag:
            return Response(status_code=304, headers=headers)
        return Response(picture.content, headers=headers, media_type=picture.type)

    @app.get(
        "/api/items/{item_id:path}", responses={200: {"model": answers.Card}, **errors(404)}, tags=["catalog"]
    )
    async def item(item_id: str, query: Annotated[NoQuery, Query()], request: Request) -> Response:
        """The card of an item."""
        model = service.holder.model(query.model)
        note_ids(request, item=item_id)
        model.item(item_id, "item_id")
        return await service.answer(lambda: model.cards.of_items([item_id])[0])

    @app.get("/api/users", responses={200: {"model": answers.UsersAnswer}, **errors()}, tags=["catalog"])
    async def users(query: Annotated[UsersQuery, Query()]) -> Response:
        """Users whose id holds q."""
        model = service.holder.model(query.model)

        def find() -> dict[str, Any]:
            total, found = model.find_users(query.q, query.limit)
            return {"total": total, "users": found}

        return await service.answer(find)


def find_items(model: Model, query: ItemsQuery) -> dict[str, Any]:
    """
    Raises:
        ApiError: a filter is not COLUMN:VALUE.
        DataError: there is no such column or value.
    """
    allowed: pl.Series | None = None
    if query.filter:
        filters = parse_filters(query.filter)
        model.check_columns(filters, "filter")
        mask = refused(lambda: allowed_items(model.catalog.items, filters))
        allowed = pl.Series(mask.numpy())
    total, cards = model.cards.search(query.q, allowed, query.limit, query.offset)
    return {"total": total, "items": cards}


def parse_filters(filters: Sequence[str]) -> dict[str, list[str]]:
    """`["genres:Comedy", "genres:Drama"]` -> `{"genres": ["Comedy", "Drama"]}`."""
    parsed: dict[str, list[str]] = {}
    for place, text in enumerate(filters):
        column, colon, value = text.partition(":")
        if not colon:
            raise ApiError(
                422, "invalid", "expected COLUMN:VALUE, for example genres:Comedy", f"filter.{place}"
            )
        parsed.setdefault(column, []).append(value)
    return parsed
