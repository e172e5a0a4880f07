"""How a public implementation's settings and parameter names map onto ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from anchorrec_graph.models.base import ModelConfig, Recommender

Arrays = Mapping[str, Any]  # the content of a golden file


def nothing(model: Recommender, arrays: Arrays) -> None:
    """For models that need no more than their parameters."""


class Reference(NamedTuple):
    """One public implementation."""

    config: Callable[[Mapping[str, Any]], ModelConfig]  # from its hyper-parameters
    parameters: Mapping[str, str]  # its name -> our name
    modalities: tuple[str, ...] = ("image", "text")  # of image, text and fused, those that it reads
    prepare: Callable[[Recommender, Arrays], None] = nothing  # give the model what the public code drew


def layers(public: str, ours: str, *numbers: str) -> dict[str, str]:
    """Weight and bias of a layer, or of the numbered layers of a stack."""
    ends = [f".{n}{kind}" for n in numbers for kind in (".weight", ".bias")] or [".weight", ".bias"]
    return {public + end: ours + end for end in ends}


def gate(public: str, ours: str) -> dict[str, str]:
    return {f"{public}.0.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}
