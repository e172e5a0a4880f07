"""What the API answers, for its description at /openapi.json.

Answers are made as plain dictionaries: checking every one of them against these classes would cost more than
making it. The tests check them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from anchorrec_graph.serve.api.errors import Code

CARD = {
    "item_id": "296",
    "title": "Pulp Fiction (1994)",
    "fields": {"year": 1994, "genres": "Comedy|Crime|Drama|Thriller"},
    "image": True,
}
PARTS = {"id": 0.61, "image": 0.22, "history": 0.66}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [value]})


class Error(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: Code
    message: str
    field: str | None


class ErrorAnswer(BaseModel):
    model_config = _example({"error": {"code": "unknown_item", "message": "unknown item", "field": "item"}})
    error: Error


class Card(BaseModel):
    model_config = _example(CARD)
    item_id: str
    title: str
    fields: dict[str, Any]
    image: bool = Field(description="Whether /api/items/{item_id}/image has a picture.")


class Recommended(Card):
    model_config = _example(CARD | {"rank": 1, "score": 1.49, "parts": PARTS})
    rank: int
    score: float
    parts: dict[str, float] = Field(description="By view; they sum to the score.")


class Neighbour(Card):
    model_config = _example(CARD | {"rank": 1, "similarity": 0.83})
    rank: int
    similarity: float = Field(description="A cosine, or the weighted mean of cosines.")


class RecommendAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[Recommended]


class SimilarAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[Neighbour]


class ItemsAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    total: int
    items: list[Card]


class UsersAnswer(BaseModel):
    model_config = _example({"total": 597, "users": ["1", "2"]})
    total: int
    users: list[str]


class NewItemAnswer(BaseModel):
    """The last four are null without a user or history."""

    model_config = ConfigDict(extra="forbid")
    similar: dict[str, list[Neighbour]] = Field(description="By modality given, and in the final space.")
    score: float | None
    rank: int | None = Field(description="Among the items that the user does not have.")
    candidates: int | None
    parts: dict[str, float] | None


class ExplainAnswer(BaseModel):
    """`anchorrec explain --json`, with the purchases cut to the k largest."""

    model_config = ConfigDict(extra="allow")
    item_id: str
    title: str
    score: float
    rank: int
    candidates: int
    views: list[dict[str, Any]]
    purchases: list[dict[str, Any]] | None
    other_purchases: dict[str, float] | None = Field(description="count and value of the purchases cut off.")
    similar: dict[str, list[dict[str, Any]]]


class ViewName(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    label: str


class ModelAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key: str
    name: str
    views: list[ViewName]
    modalities: list[str]
    users: int
    items: int
    card: dict[str, Any]


class ColumnAnswer(BaseModel):
    model_config = _example(
        {"name": "genres", "kind": "category", "values": ["Drama", "Comedy"], "min": None, "max": None}
    )
    name: str
    kind: str = Field(description="category, number or text")
    values: list[Any] = Field(description="The most frequent ones of a category.")
    min: float | None
    max: float | None


class CatalogAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    models: list[ModelAnswer]
    columns: list[ColumnAnswer] = Field(description="Of the first model's items.")
    images: bool
    encoders: dict[str, bool] = Field(description="Whether new items may come with image and text.")
    limits: dict[str, float]


class HealthAnswer(BaseModel):
    model_config = _example(
        {"status": "ok", "model": "anchorrec on movielens", "users": 597, "items": 1850, "version": "0.1.0",
         "problems": {}}
    )  # fmt: skip
    status: str = Field(description="ok, or degraded: a newer model could not be loaded.")
    model: str
    users: int
    items: int
    version: str | None
    problems: dict[str, str] = Field(description="Model key -> the kind of error.")
