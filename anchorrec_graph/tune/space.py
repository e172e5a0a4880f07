"""Search spaces: which settings are tuned, and over which values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from pydantic import Field, PositiveFloat, StrictInt, ValidationError, model_validator

from anchorrec_graph.config import Config, describe
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.settings import Settings
from anchorrec_graph.strict_yaml import parse_yaml

if TYPE_CHECKING:
    from optuna import Trial

SECTIONS = ("model.", "train.")  # other data or other metrics could not be compared
FIXED = ("train.metric", "train.seeds", "train.tensorboard")


class Dimension(Settings):
    """The values of one setting: exactly one of the four kinds. Ends belong to a range."""

    log: tuple[PositiveFloat, PositiveFloat] | None = None  # uniform in the logarithm
    uniform: tuple[float, float] | None = None
    int: tuple[StrictInt, StrictInt] | None = None
    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None  # also of whole sections

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in type(self).model_fields if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(
                "give one of {log: [lo, hi]}, {uniform: [lo, hi]}, {int: [lo, hi]}, {choice: [...]}"
            )
        if self.choice is None and self.values[0] >= self.values[1]:
            raise ValueError(f"{kinds[0]}: the first end must be less than the second")
        return self

    @property
    def values(self) -> tuple[Any, ...]:
        """Every choice, or both ends."""
        return next(v for v in (self.log, self.uniform, self.int, self.choice) if v is not None)

    @property
    def probes(self) -> tuple[Any, ...]:
        """`values`, and for a range of floats one within: the ends alone may be whole by chance."""
        if self.choice is not None or self.int is not None:
            return self.values
        low, high = self.values
        return low, self.setting(low + 0.0345 * (high - low)), high

    def suggest(self, trial: Trial, key: str) -> Any:
        """The setting that a trial of Optuna draws."""
        if self.choice is not None:
            return self.setting(trial.suggest_categorical(key, [json.dumps(value) for value in self.choice]))
        low, high = self.values
        if self.int is not None:
            return trial.suggest_int(key, low, high)
        return self.setting(trial.suggest_float(key, low, high, log=self.log is not None))

    def setting(self, drawn: Any) -> Any:
        """What a drawn parameter stands for: choices are drawn as JSON, floats are cut to three digits."""
        if self.choice is not None:
            return json.loads(drawn)
        return float(f"{drawn:.3g}") if isinstance(drawn, float) else drawn


class Space(NamedTuple):
    """The dimensions by dotted key, for example `model.backbone.num_layers`."""

    source: str  # the file, named in errors
    dimensions: dict[str, Dimension]

    @classmethod
    def load(cls, path: Path) -> Space:
        """Read a YAML file of entries like `train.learning_rate: {log: [1e-4, 1e-2]}`.

        Raises:
            ConfigError: the file is missing or not such a mapping; the message names file and key.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read; name a search space with --space FILE") from error
        return cls.parse(parse_yaml(text, str(path)), str(path))

    @classmethod
    def parse(cls, values: Any, source: str) -> Space:
        """The space of a mapping, as in a file.

        Raises:
            ConfigError: naming `source` and the key.
        """
        if not isinstance(values, dict) or not values:
            raise ConfigError(f"{source}: expected entries like train.learning_rate: {{log: [1e-4, 1e-2]}}")
        dimensions = {}
        for key, value in values.items():
            if not str(key).startswith(SECTIONS) or key in FIXED:
                raise ConfigError(f"{source}: {key}: only keys below model and train can be tuned, without "
                                  f"{', '.join(FIXED)}")  # fmt: skip
            inside = [other for other in values if str(other).startswith(f"{key}.")]
            if inside:
                raise ConfigError(f"{source}: {inside[0]}: lies inside {key}, which is tuned as a whole")
            try:
                dimensions[key] = Dimension.model_validate(value)
            except ValidationError as error:
                raise ConfigError(f"{source}: {key}: {describe(error)}") from error
        return cls(source, dimensions)

    def check(self, config: Config) -> None:
        """Refuse keys and values that `config` cannot take, each on its own.

        Raises:
            ConfigError: naming the file and the key.
        """
        for key, dimension in self.dimensions.items():
            for value in dimension.probes:
                try:
                    self.apply(config, {key: value})
                except ConfigError as error:
                    raise ConfigError(f"{self.source}: {key}: {error}") from error

    def apply(self, config: Config, settings: Mapping[str, Any]) -> Config:
        """`config` with other values at dotted keys.

        Raises:
            ConfigError: a key is unknown, or its value or their combination is not valid.
        """
        content = config.model_dump(mode="json")
        for key, value in settings.items():
            *parents, last = key.split(".")
            section = content
            for parent in parents:
                section = section.setdefault(parent, {})
                if not isinstance(section, dict):
                    raise ConfigError(f"'{parent}' holds a value, not a section; tune it as a whole")
            section[last] = value
        try:
            return Config.model_validate(content)
        except ValidationError as error:
            raise ConfigError(describe(error)) from error

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that the parameters of a trial stand for."""
        return {key: self.dimensions[key].setting(drawn) for key, drawn in params.items()}

    def params(self, config: Config) -> dict[str, Any]:
        """The parameters that stand for `config` itself, without those whose value is not in the space."""
        params = {}
        for key, dimension in self.dimensions.items():
            if dimension.choice is not None:
                for choice in dimension.choice:
                    if self.apply(config, {key: choice}) == config:
                        params[key] = json.dumps(choice)
            else:
                value, (low, high) = setting_of(config, key), dimension.values
                number = value if dimension.int is None or isinstance(value, int) else None
                if number is not None and low <= number <= high:
                    params[key] = number
        return params


def setting_of(config: Config, key: str) -> Any:
    """The value at a dotted key, as in YAML; None where a section is missing."""
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
