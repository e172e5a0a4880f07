"""Check a model against golden numbers of its public implementation, one training step each.

The files hold a tiny data set, a batch, the initial parameters under the public names, and what the
public code computes from them: loss, gradients and scores. Only numbers, no code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import ValidationError
from torch_geometric.data import HeteroData

from anchorrec_graph.config import describe
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import DataError
from anchorrec_graph.files import BAD_NPZ
from anchorrec_graph.models.base import ModelConfig, Recommender, build_model
from anchorrec_graph.testing.golden import REFERENCES, Reference
from anchorrec_graph.typing import Batch

MODALITIES = ("image", "text", "fused")
LOSS_TOLERANCE = 1e-5  # relative
GRADIENT_TOLERANCE = 1e-4  # |difference| <= 1e-4 |gradient| + 1e-7, Euclidean norms
GRADIENT_FLOOR = 1e-7
SCORE_TOLERANCE = 1e-4  # absolute


class Report(NamedTuple):
    """The errors of one file, and whether each is within its tolerance."""

    file: str
    model: str
    loss_relative_error: float
    gradient_relative_error: float  # the worst, |difference| / (|gradient| + 1e-3)
    worst_gradient: str
    score_absolute_error: float
    passed: bool


def check_file(path: Path) -> Report:
    """Load one golden file and compare loss, every gradient and the scores.

    Raises:
        DataError: the file is not a golden file, no model here has its parameters, or its settings are
            outside the range of ours (a temperature of 0, for example).
    """
    arrays = _read(path)
    name = _model_of(path, arrays)
    reference = REFERENCES[name]
    model = build_model(_config(path, arrays, reference), _data(arrays, reference.modalities))
    _set_parameters(model, arrays, reference.parameters)
    reference.prepare(model, arrays)

    batch = Batch(*(torch.from_numpy(arrays[k]) for k in Batch._fields))
    loss = torch.stack([term.double() for term in model.loss_terms(batch).values()]).sum()
    loss.backward()
    gradients = _gradient_errors(model, arrays, reference.parameters)
    worst = max(gradients, key=lambda name: np.nan_to_num(gradients[name], nan=np.inf))
    model.eval()
    with torch.no_grad():
        scores = model.encode().scores(torch.arange(len(arrays["scores"])))
    loss_error = abs(float(loss.detach()) - float(arrays["loss"])) / abs(float(arrays["loss"]))
    score_error = float((scores - torch.from_numpy(arrays["scores"])).abs().max())
    passed = (
        loss_error <= LOSS_TOLERANCE
        and gradients[worst] <= GRADIENT_TOLERANCE
        and score_error <= SCORE_TOLERANCE
    )
    return Report(str(path), name, loss_error, gradients[worst], worst, score_error, passed)


def _read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except BAD_NPZ as error:
        raise DataError(f"{path}: not a readable .npz file ({error})") from error


def _config(path: Path, arrays: Mapping[str, Any], reference: Reference) -> ModelConfig:
    try:
        return reference.config(json.loads(str(arrays["config"])))
    except (KeyError, ValueError) as error:
        message = describe(error) if isinstance(error, ValidationError) else f"missing or damaged: {error}"
        raise DataError(f"{path}: config: {message}") from error


def _model_of(path: Path, arrays: Mapping[str, Any]) -> str:
    """The model whose parameter names the file has."""
    present = {key.removeprefix("parameter/") for key in arrays if key.startswith("parameter/")}
    for name, reference in REFERENCES.items():
        if present == set(reference.parameters):
            missing = _keys(present) - set(arrays)
            if missing:
                raise DataError(f"{path}: lacks {', '.join(sorted(missing)[:5])}")
            return name
    raise DataError(
        f"{path}: its parameters are those of no model here; known: {', '.join(REFERENCES)}; "
        f"found: {', '.join(sorted(present)[:5]) or 'no key that starts with parameter/'}"
    )


def _keys(parameters: Iterable[str]) -> set[str]:
    """Everything that a golden file with these parameters holds."""
    inputs = {f"{modality}_features" for modality in MODALITIES} | {"interactions", *Batch._fields}
    return inputs | {"config", "loss", "scores"} | {f"gradient/{name}" for name in parameters}


def _data(arrays: Mapping[str, np.ndarray[Any, Any]], modalities: tuple[str, ...]) -> HeteroData:
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = arrays["scores"].shape
    data.modalities = modalities
    for modality in data.modalities:
        data["item"][modality] = torch.from_numpy(arrays[f"{modality}_features"])
    data[INTERACTS].edge_index = torch.from_numpy(arrays["interactions"].T.copy())
    return data


def _set_parameters(model: Recommender, arrays: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Copy the public initial values; a part that our settings leave out must have no effect there either."""
    ours = dict(model.named_parameters())
    with torch.no_grad():
        for public, name in names.items():
            if name in ours:
                ours[name].copy_(torch.from_numpy(arrays[f"parameter/{public}"]))


def _gradient_errors(
    model: Recommender, arrays: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, float]:
    """|difference| / (|gradient| + 1e-3) of each public parameter: the tolerance solved for its rate."""
    ours = dict(model.named_parameters())
    errors = {}
    for public, name in names.items():
        expected = torch.from_numpy(arrays[f"gradient/{public}"]).double()
        parameter = ours.get(name)
        found = torch.zeros_like(expected) if parameter is None or parameter.grad is None else parameter.grad
        difference = torch.linalg.vector_norm(found.double() - expected)
        floor = GRADIENT_FLOOR / GRADIENT_TOLERANCE
        errors[public] = float(difference / (torch.linalg.vector_norm(expected) + floor))
    return errors
