"""/api/recommend, /api/similar, /api/explain."""

from __future__ import annotations

from typing import Any

import polars as pl
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from anchorrec_graph.serve.api import answers
from anchorrec_graph.serve.api.cards import Card
from anchorrec_graph.serve.api.model import Model
from anchorrec_graph.serve.api.schemas import ExplainRequest, RecommendRequest, SimilarRequest
from anchorrec_graph.serve.api.service import Service, errors, note_ids


def add_ranking(app: FastAPI, service: Service) -> None:
    @app.post(
        "/api/recommend",
        responses={200: {"model": answers.RecommendAnswer}, **errors(404, 501)},
        tags=["ranking"],
    )
    async def recommend(query: RecommendRequest, request: Request) -> Response:
        """The k best items of a user, or of a stranger with these items. The parts sum to the score."""
        model = service.holder.model(query.model)
        note_ids(request, user=query.user, history=query.history)
        return await service.answer(lambda: {"items": recommended(model, query)})

    @app.post(
        "/api/similar",
        responses={200: {"model": answers.SimilarAnswer}, **errors(404, 501)},
        tags=["ranking"],
    )
    async def similar(query: SimilarRequest, request: Request) -> Response:
        """Items like one. `across` leaves out those that share a value of a column with it."""
        model = service.holder.model(query.model)
        note_ids(request, item=query.item)
        return await service.answer(lambda: {"items": neighbours(model, query)})

    @app.post(
        "/api/explain",
        responses={200: {"model": answers.ExplainAnswer}, **errors(404, 501)},
        tags=["ranking"],
    )
    async def explain(query: ExplainRequest, request: Request) -> Response:
        """Why: the score by view and by purchase, exact, and the user's items most like this one."""
        model = service.holder.model(query.model)
        note_ids(request, user=query.user, history=query.history, item=query.item)
        return await service.answer(lambda: explained(model, query))


def recommended(model: Model, query: RecommendRequest) -> list[Card]:
    model.check_columns(query.filters, "filters")
    filters, weights = query.filters or None, query.weights or None
    options: dict[str, Any] = {"filters": filters, "weights": weights, "exclude_seen": query.exclude_seen}
    if query.user is not None:
        table = model.catalog.recommend([model.user(query.user)], query.k, **options)
    else:
        table = model.catalog.recommend_for(model.history(query.history or []), query.k, **options)
    views = [view for view in model.catalog.views if f"{view}_part" in table.columns]
    parts = zip(*(table[f"{view}_part"].to_list() for view in views), strict=True)
    rows = zip(ranked(model, table, "score"), parts, strict=True)
    return [card | {"parts": dict(zip(views, values, strict=True))} for card, values in rows]


def ranked(model: Model, table: pl.DataFrame, value: str) -> list[Card]:
    """The cards of a ranking of the catalog, with rank and value."""
    cards = model.cards.of_items(table["item_id"].cast(pl.String).to_list())
    rows = zip(cards, table["rank"].to_list(), table[value].to_list(), strict=True)
    return [card | {"rank": rank, value: number} for card, rank, number in rows]


def neighbours(model: Model, query: SimilarRequest) -> list[Card]:
    model.check_columns(query.filters, "filters")
    model.check_columns([query.across] if query.across else [], "across")
    table = model.catalog.similar_items(
        [model.item(query.item)], by=query.by, k=query.k, across=query.across, filters=query.filters or None
    )
    return ranked(model, table, "similarity")


def explained(model: Model, query: ExplainRequest) -> dict[str, Any]:
    history = None if query.history is None else model.history(query.history)
    user = None if query.user is None else model.user(query.user)
    found = model.catalog.explain(model.item(query.item), user=user, history=history, num_similar=query.k)
    answer = found.to_dict()
    purchases = answer["purchases"]
    rest = None if purchases is None else purchases[query.k :]
    return answer | {
        "purchases": None if purchases is None else purchases[: query.k],
        "other_purchases": _sum(rest) if rest else None,
    }


def _sum(purchases: list[dict[str, Any]]) -> dict[str, float]:
    return {"count": len(purchases), "value": sum(purchase["value"] for purchase in purchases)}
