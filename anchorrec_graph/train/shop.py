"""The size of a shop and of the machines that train on it, as `anchorrec doctor --plan` reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticUndefined

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.knn import ApproximateConfig
from anchorrec_graph.settings import Settings, unknown_name

STEP_BATCH, TRAINING = 2048, 0.8  # pairs of a batch; share of interactions that train
REDUCED = 256  # columns that a modality is reduced to

Size = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
Whole = Annotated[Size, Field(multiple_of=1)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]


class Shop(Settings):
    """The size of a shop and of what trains on it; every number may be written as 1e8."""

    items: Whole
    users: Whole
    interactions: Whole  # pairs of a user and an item, each once
    machines: Count = 1
    cores: Count = 2  # of a machine
    memory_gib: Size = 24.0  # of a machine
    dim: Count = 64
    modalities: Count = 2  # beside the fused one
    feature_dim: Count = 320  # columns of a modality
    k: Count = 10
    users_evaluated: Whole = 10_000.0

    @model_validator(mode="after")
    def _no_more_pairs_than_there_are(self) -> Shop:
        most = self.users * self.items
        if self.interactions > most:
            raise ValueError(f"interactions: {self.interactions:g} are more than users x items, {most:g}")
        return self

    @property
    def pairs(self) -> float:
        """Those that train."""
        return TRAINING * self.interactions

    @property
    def batches(self) -> int:
        """Of an epoch."""
        return math.ceil(self.pairs / STEP_BATCH)

    @property
    def nodes(self) -> float:
        return self.users + self.items

    @property
    def exact(self) -> bool:
        """Whether item graphs hold all true neighbours."""
        return self.items <= ApproximateConfig().above

    @property
    def native(self) -> int:
        """Columns of all modalities but the fused one."""
        return self.modalities * self.feature_dim

    @property
    def fused(self) -> int:
        """Columns of the fused feature: every modality is reduced first."""
        return self.modalities * min(REDUCED, self.feature_dim)

    @property
    def reduced(self) -> int:
        """Columns of all features as the model reads them."""
        return self.fused + min(REDUCED, self.fused)


def keys() -> str:
    """The keys of a shop with their defaults, N where there is none."""
    fields = Shop.model_fields.items()
    defaults = {key: "N" if f.default is PydanticUndefined else f"{f.default:g}" for key, f in fields}
    return " ".join(f"{key}={default}" for key, default in defaults.items())


def read_shop(pairs: Iterable[str]) -> Shop:
    """A shop from `key=value` words.

    Raises:
        ConfigError: a word is no such pair, or repeats a key, or names or values are wrong.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--plan '{pair}': expected key=value, for example items=1e6")
        if key not in Shop.model_fields:
            raise ConfigError("--plan: " + unknown_name("key", key, list(Shop.model_fields)))
        if key in values:
            raise ConfigError(f"--plan: {key} is given twice, as {values[key]} and {text}")
        values[key] = text
    try:
        return Shop.model_validate({key: _number(text) for key, text in values.items()})
    except ValidationError as error:
        raise ConfigError(f"--plan: {_told(error, values)}") from error


def _told(error: ValidationError, values: dict[str, str]) -> str:
    """The first problem, with its key and the text given for it."""
    problem = error.errors(include_url=False)[0]
    if not problem["loc"]:  # of several keys together
        return problem["msg"].removeprefix("Value error, ")
    key = str(problem["loc"][0])
    if problem["type"] == "missing":
        return f"{key}: is missing"
    return f"{key}: {problem['msg']}, got {values[key]}"


def _number(text: str) -> float | int | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value
