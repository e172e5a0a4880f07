"""Every scatter-based operation, with torch-scatter and with PyTorch's own kernels."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_geometric.typing
from example_backbones import EXAMPLES, examples_registered
from torch import Tensor

from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.models.lightgcn import LightGCNConfig
from anchorrec_graph.nn.backbone import BackboneConfig
from anchorrec_graph.testing import check_backbone, check_model, tiny_data
from anchorrec_graph.testing.reference import check_file

REFERENCE = Path(__file__).parent / "data" / "reference"
WITH_AND_WITHOUT = [
    pytest.param(
        True,
        marks=pytest.mark.skipif(find_spec("torch_scatter") is None, reason="torch-scatter is not installed"),
        id="torch-scatter",
    ),
    pytest.param(False, id="torch"),
]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with examples_registered():
        yield


@pytest.fixture(params=WITH_AND_WITHOUT)
def scatter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """PyG reads this flag at every call."""
    monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", request.param)
    return bool(request.param)


@pytest.mark.parametrize("config_class", EXAMPLES, ids=lambda c: c.__name__)
def test_backbones(scatter: bool, config_class: type[BackboneConfig]) -> None:
    check_backbone(config_class())


@pytest.mark.parametrize("config_class", EXAMPLES, ids=lambda c: c.__name__)
def test_a_model_with_such_a_backbone(scatter: bool, config_class: type[BackboneConfig]) -> None:
    check_model(LightGCNConfig(backbone=config_class(), embedding_dim=8))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_models(scatter: bool, name: str) -> None:
    check_model(MODELS.config_class(name)())


@pytest.mark.parametrize("name", ["anchorrec", "lightgcn"])
def test_golden_numbers(scatter: bool, name: str) -> None:
    assert check_file(REFERENCE / f"{name}.npz").passed


@pytest.mark.skipif(find_spec("torch_scatter") is None, reason="torch-scatter is not installed")
@pytest.mark.parametrize("config_class", EXAMPLES, ids=lambda c: c.__name__)
def test_both_paths_agree(monkeypatch: pytest.MonkeyPatch, config_class: type[BackboneConfig]) -> None:
    import torch_scatter

    calls: list[str] = []
    original = torch_scatter.segment_csr
    monkeypatch.setattr(
        torch_scatter, "segment_csr", lambda *args, **kw: calls.append("segment_csr") or original(*args, **kw)
    )
    torch.manual_seed(0)
    model = build_model(LightGCNConfig(backbone=config_class(), embedding_dim=8), tiny_data())
    found: list[tuple[Any, Tensor]] = []
    for installed in (True, False):
        monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", installed)
        model.zero_grad()
        item = model.encode().item
        item.square().sum().backward()
        found.append((item.detach(), model.item.weight.grad.clone()))
    torch.testing.assert_close(*found)
    assert bool(calls) == (config_class.__name__ == "MaxPoolConfig")  # the others sum, on PyTorch's kernels
