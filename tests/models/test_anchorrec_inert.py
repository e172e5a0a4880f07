"""In the released settings the second alignment term changes nothing; in ours every term counts."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_anchorrec import Names, batches, built, small
from torch import Tensor

from anchorrec_graph.models import MODELS
from anchorrec_graph.models.anchorrec import AnchorRec
from anchorrec_graph.nn.alignment import AlignTerm
from anchorrec_graph.testing.golden.anchorrec import anchorrec_config
from anchorrec_graph.typing import Batch

PUBLIC = json.loads(
    str(np.load(Path(__file__).parents[1] / "data" / "reference" / "anchorrec.npz")["config"])
)


def train(model: AnchorRec, data: Iterable[Batch], learning_rate: float = 1e-2) -> Tensor:
    """The scores after one Adam step per batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for batch in data:
        optimizer.zero_grad()
        torch.stack([term.double() for term in model.loss_terms(batch).values()]).sum().backward()
        optimizer.step()
    with torch.no_grad():
        return model.encode().scores(torch.arange(20))


def with_terms(model: AnchorRec, terms: tuple[AlignTerm, ...], modalities: Names) -> AnchorRec:
    """A model with other alignment terms and the same initial values."""
    align = model.config.align.model_copy(update={"terms": terms})
    other = built(model.config.model_copy(update={"align": align}), modalities, seed=1)
    values = model.state_dict()
    other.load_state_dict({name: values[name] for name in other.state_dict()})
    return other


@pytest.mark.parametrize("removal", ["left out", "weight 0"])
def test_the_second_alignment_term_is_inert_in_the_released_settings(removal: str) -> None:
    config = anchorrec_config(PUBLIC)
    modalities = ("image", "text", "fused")
    model = built(config, modalities)
    first, second = model.heads.terms
    terms = (first,) if removal == "left out" else (first, second.model_copy(update={"weight": 0.0}))
    without, only = with_terms(model, terms, modalities), with_terms(model, (second,), modalities)
    assert (removal == "left out") == ("text" not in without.heads)
    data = batches(40)
    before = model.encode().scores(torch.arange(20)).detach()
    after = train(model, data)
    assert torch.equal(after, train(without, data))
    assert float((after - before).abs().max()) > 1e-2  # it was trained
    assert not torch.equal(after, train(only, data))  # the first term is not inert


def test_every_alignment_term_moves_the_scores_in_the_default_settings() -> None:
    config = small()
    model = built(config)
    terms = model.heads.terms
    assert [list(term.targets) for term in terms] == [["id"], ["image"], ["text"]]
    data = batches(5)
    after = train(with_terms(model, terms, ("image", "text")), data)
    assert torch.equal(after, train(copy.deepcopy(model), data))
    for term in terms:
        left = tuple(other for other in terms if other is not term)
        without = with_terms(model, left, ("image", "text"))
        assert float((train(without, data) - after).abs().max()) > 1e-3


def test_released_settings_survive_yaml() -> None:
    config = anchorrec_config(PUBLIC)
    assert MODELS.parse(config.model_dump(mode="json")) == config
