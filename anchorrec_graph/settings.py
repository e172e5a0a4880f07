"""`Settings`: the base of every typed, frozen, complete group of settings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from anchorrec_graph.errors import ConfigError


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys and name the nearest known one.

    Subclasses stand beside the code that they set. Fields are read with
    pydantic's conversions, so the YAML string `1e-3` becomes a float where a
    float is declared.

    Raises:
        pydantic.ValidationError: for unknown keys, wrong types or ranges
            (`anchorrec_graph.config.load_config` turns it into a `ConfigError`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _suggest_known_key(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(unknown_name("key", str(key), list(cls.model_fields)))
        return values


def unknown_name(kind: str, name: str, known: list[str]) -> str:
    """One sentence that says `name` is unknown and which known name is meant."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
    return f"unknown {kind} '{name}'; {hint}"


def check_names(key: str, kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse a name in the setting or option `key` that is none of the `known` ones.

    Raises:
        ConfigError: naming the key, the name and the one that is probably meant.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"{key}: " + unknown_name(kind, name, list(known)))
