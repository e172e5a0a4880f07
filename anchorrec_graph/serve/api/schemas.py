"""What the API is asked: typed, bounded, and unknown keys are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anchorrec_graph.serve.api.limits import LIMITS

Id = Annotated[str, Field(min_length=1, max_length=LIMITS.id_chars)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=LIMITS.value_chars)]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]
Value = Text | bool | Number
Values = Annotated[list[Value], Field(min_length=1, max_length=LIMITS.filter_values)]
Filters = Annotated[dict[Name, Value | Values], Field(max_length=LIMITS.filters)]
Weight = Annotated[float, Field(ge=-LIMITS.weight, le=LIMITS.weight)]
Weights = Annotated[dict[Name, Weight], Field(max_length=LIMITS.weights)]
K = Annotated[int, Field(ge=1, le=LIMITS.k)]
History = Annotated[list[Id], Field(min_length=1, max_length=LIMITS.history)]
Key = Literal["a", "b"]


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"examples": [values]}
    )


class RecommendRequest(BaseModel):
    """For a known user, or for a stranger with these items."""

    model_config = _example(user="1", k=10, filters={"genres": ["Comedy"]}, weights={"image": 1.5})
    model: Key = "a"
    user: Id | None = None
    history: History | None = None
    k: K = 20
    exclude_seen: bool = True
    filters: Filters = {}
    weights: Weights = {}

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.user is None) == (self.history is None):
            raise ValueError("give user or history, one of them")
        return self


class SimilarRequest(BaseModel):
    """Items like one: by a modality, a view, the final space, or a mixture of these."""

    model_config = _example(item="296", by={"image": 0.6, "text": 0.4}, k=10, across="genres")
    model: Key = "a"
    item: Id
    by: Name | Annotated[Weights, Field(min_length=1)] = "final"
    k: K = 20
    across: Name | None = None
    filters: Filters = {}


class ExplainRequest(BaseModel):
    """Why a user, or a stranger with these items, is shown an item."""

    model_config = _example(user="1", item="296", k=8)
    model: Key = "a"
    user: Id | None = None
    history: History | None = None
    item: Id
    k: Annotated[int, Field(ge=1, le=100)] = 8

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.user is None) == (self.history is None):
            raise ValueError("give user or history, one of them")
        return self


class NewItemQuery(BaseModel):
    """The part `query` of the form: for whom a new item is ranked, if for anyone."""

    model_config = _example(user="1", k=10)
    model: Key = "a"
    user: Id | None = None
    history: History | None = None
    k: K = 10

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if self.user is not None and self.history is not None:
            raise ValueError("give user or history, not both")
        return self


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    model: Key = "a"
    q: Annotated[str, Field(max_length=LIMITS.query_chars, description="Words to search for.")] = ""


class ItemsQuery(_Page):
    filter: Annotated[
        list[Annotated[str, Field(max_length=LIMITS.value_chars)]],
        Field(max_length=LIMITS.filter_values, description="COLUMN:VALUE; repeat a column for alternatives."),
    ] = []
    limit: Annotated[int, Field(ge=1, le=LIMITS.page)] = 24
    offset: Annotated[int, Field(ge=0, le=10**9)] = 0


class UsersQuery(_Page):
    limit: Annotated[int, Field(ge=1, le=LIMITS.page)] = 20


class NoQuery(BaseModel):
    """Addresses that take nothing but the model."""

    model_config = ConfigDict(extra="forbid")
    model: Key = "a"
