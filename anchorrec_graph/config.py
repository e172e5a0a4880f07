"""`Config`: everything that defines a run, and how it is read from YAML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationError, model_validator
from pydantic_core import ErrorDetails

from anchorrec_graph.data.base import DATASETS, DatasetConfig
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.evaluator import EvaluateConfig
from anchorrec_graph.evaluate.metrics import METRICS, parse_metric
from anchorrec_graph.graph.knn import ApproximateConfig
from anchorrec_graph.models.base import MODELS, ModelConfig
from anchorrec_graph.registry import registered
from anchorrec_graph.settings import Settings
from anchorrec_graph.strict_yaml import dump_yaml, parse_yaml
from anchorrec_graph.train.settings import TrainConfig

# Settings that came after run folders were made, and what these have: there the hash leaves them out.
LATER: dict[tuple[str, ...], Any] = {
    ("train", "snapshot_every"): 0,
    ("train", "batches_per_step"): 1,
    ("evaluate", "max_users"): None,
    ("train", "mode"): "full",
    ("train", "num_neighbors"): [10, 5],
    ("train", "shard_tables"): False,
    ("train", "checkpoint_steps"): 0,
    ("model", "features_on_disk"): False,
    ("model", "knn", "approximate"): ApproximateConfig().model_dump(mode="json"),
}


class Config(Settings):
    """Dataset, model, training and evaluation. Frozen; `load_config` reads it from a file."""

    dataset: Annotated[DatasetConfig, *registered(DATASETS)]
    model: Annotated[ModelConfig, *registered(MODELS)]
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _metric_chooses_epochs(self) -> Config:
        metric = self.train.metric
        try:
            kind = parse_metric(metric).kind
        except ConfigError as error:
            raise ValueError(f"train.metric: {error}") from error
        if kind not in METRICS:
            raise ValueError(
                f"train.metric '{metric}' does not measure accuracy, so it cannot choose the best epoch; "
                f"take one of {', '.join(METRICS)}"
            )
        if metric not in self.evaluate.metrics:
            raise ValueError(f"train.metric '{metric}' is not in evaluate.metrics; add it there")
        return self

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits of the content, the same in any order of keys."""
        content = self.model_dump(mode="json")
        for (*path, name), default in LATER.items():
            part = reduce(lambda settings, key: settings.get(key, {}), path, content)
            if part.get(name) == default:
                del part[name]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """The complete settings, defaults included; `load_config` reads it back to an equal object."""
        return dump_yaml(self.model_dump(mode="json"))


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file, apply overrides of the form `train.epochs=50`, and check every key and value.

    Raises:
        ConfigError: naming the file and the key, and saying what was expected.
    """
    path, overrides = Path(path), list(overrides)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; examples are in configs/") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read; save it as UTF-8") from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys dataset, model, train, evaluate")
    for override in overrides:
        apply_override(values, override)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        source = " ".join([str(path), *(f"-o {override}" for override in overrides)])
        raise ConfigError(f"{source}: {describe(error)}{_hint(overrides)}") from error


def describe(error: ValidationError) -> str:
    """Every problem of a pydantic error as `key: what is wrong`, on one line."""
    problems = error.errors(include_url=False)
    places = [problem["loc"] for problem in problems]
    lines = []
    for problem, place in zip(problems, places, strict=True):
        # pydantic leaves wrong entries out before it counts: a list of them seems too short
        if problem["type"] == "too_short" and any(p[: len(place)] == place and p != place for p in places):
            continue
        key = ".".join(str(part) for part in place)
        lines.append(f"{key}: {_message(problem)}" if key else _message(problem))
    return "; ".join(lines)


def _message(problem: ErrorDetails) -> str:
    kind, value, message = problem["type"], problem["input"], problem["msg"]
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "missing":
        return "is missing"
    if kind == "too_short":
        return "must have at least 1 entry"
    if kind == "tuple_type":
        message = "must be a list"
    elif kind in ("model_type", "dict_type", "model_attributes_type"):
        message = "must be a section of keys"
    elif kind.endswith(("_parsing", "_from_float")):
        message = message.partition(", ")[0]  # what follows says the same at length
    return f"{message.replace('Input should be', 'must be')}, got {json.dumps(value, default=str)}"


def _hint(overrides: list[str]) -> str:
    """`-o model.loss.name=bpr` keeps the other settings of the section, which may be unknown to bpr."""
    named = [override.partition("=") for override in overrides]
    whole = [f"-o {key.removesuffix('.name')}={value}" for key, _, value in named if key.endswith(".name")]
    return f"; to replace a whole section write {' '.join(whole)}" if whole else ""


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set one dotted key. The section of a bare name (`model: lightgcn`) becomes a mapping.

    Raises:
        ConfigError: no `key=value`, or a key leads into a value.
    """
    key, equals, text = (part.strip() for part in override.partition("="))
    if not equals or not key:
        raise ConfigError(f"override '{override}': expected key=value, for example train.epochs=50")
    *parents, last = key.split(".")
    for parent in parents:
        child = values.get(parent)
        if child is None or isinstance(child, str):
            child = values[parent] = {"name": child} if child else {}
        if not isinstance(child, dict):
            raise ConfigError(f"override '{override}': '{parent}' holds a value, not a section")
        values = child
    values[last] = parse_yaml(text, f"override '{override}'")
