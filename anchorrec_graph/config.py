"""`Config`: everything that defines a run, and how it is read from YAML."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ValidationError, model_validator

from anchorrec_graph.data.base import DATASETS, DatasetConfig
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.evaluator import EvaluateConfig
from anchorrec_graph.models.base import MODELS, ModelConfig
from anchorrec_graph.registry import registered
from anchorrec_graph.settings import Settings
from anchorrec_graph.train.settings import TrainConfig


class Config(Settings):
    """Dataset, model, training and evaluation. Frozen; `load_config` reads it from a file."""

    dataset: Annotated[DatasetConfig, *registered(DATASETS)]
    model: Annotated[ModelConfig, *registered(MODELS)]
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _metric_is_evaluated(self) -> Config:
        if self.train.metric not in self.evaluate.metrics:
            raise ValueError(f"train.metric '{self.train.metric}' is not in evaluate.metrics; add it there")
        return self

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits of the content."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """The complete settings, defaults included; `load_config` reads it back to an equal object."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file, apply overrides of the form `train.epochs=50`, and check every key and value.

    Raises:
        ConfigError: naming the file and the key, and saying what was expected.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    values = _parse(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys dataset, model, train, evaluate")
    for override in overrides:
        _apply(values, override)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """Every problem of a pydantic error as `key: what is wrong`, on one line."""
    problems = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{key}: {message}" if key else message)
    return "; ".join(problems)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars (`1e-3` is a number; `on`, `no` and `12:30` are strings), no duplicate keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' twice", node.start_mark)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  _Loader is a SafeLoader
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise ConfigError(f"{source}: not valid YAML: {message}") from error


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one dotted key. The section of a bare name (`model: lightgcn`) becomes a mapping."""
    key, equals, text = override.partition("=")
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
    values[last] = _parse(text, f"override '{override}'")
