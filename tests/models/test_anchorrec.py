from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.sampler import NegativeSampler
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.losses.ranking import BPRConfig
from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.models.anchorrec import (
    AlignConfig,
    AlignTerm,
    AnchorRec,
    AnchorRecConfig,
    PreserveConfig,
    align_terms,
)
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.reference import anchorrec_config
from anchorrec_graph.typing import Batch

Names = tuple[str, ...]
NAMES = [("image",), ("tags", "audio"), ("image", "text", "fused"), ("a", "b", "c", "d")]
PUBLIC = json.loads(
    str(np.load(Path(__file__).parents[1] / "data" / "reference" / "anchorrec.npz")["config"])
)


def built(config: AnchorRecConfig, modalities: Names = ("image", "text"), seed: int = 0) -> AnchorRec:
    torch.manual_seed(seed)
    model = build_model(config, tiny_data(modalities=modalities))
    assert isinstance(model, AnchorRec)
    return model


def small(**settings: Any) -> AnchorRecConfig:
    return AnchorRecConfig(embedding_dim=8, **settings)


def batches(count: int, size: int = 24) -> list[Batch]:
    """Drawn from the training edges of `tiny_data`, whose interactions do not depend on its features."""
    edge_index = tiny_data()[INTERACTS].edge_index
    sampler, generator = NegativeSampler(edge_index, 20, 24), torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(count):
        users, items = edge_index[:, torch.randint(edge_index.shape[1], (size,), generator=generator)]
        drawn.append(Batch(users, items, sampler.sample(users, generator)))
    return drawn


def train(model: AnchorRec, data: Iterable[Batch], learning_rate: float = 1e-2) -> Tensor:
    """The scores after one Adam step per batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for batch in data:
        optimizer.zero_grad()
        torch.stack([term.double() for term in model.loss_terms(batch).values()]).sum().backward()
        optimizer.step()
    with torch.no_grad():
        return model.encode().scores(torch.arange(20))


@pytest.mark.parametrize("modalities", NAMES, ids="+".join)
def test_any_names_and_number_of_modalities(modalities: tuple[str, ...]) -> None:
    config = small()
    model = built(config, modalities)
    with_fused = modalities if "fused" in modalities else (*modalities, "fused")
    assert model.modalities == model.score_views == with_fused
    assert set(model.encode().views) == {"id", *with_fused}
    assert set(model.heads) == {"id", *with_fused}
    assert set(model.loss_terms(batches(1)[0])) == {"ranking", "align", "preserve"}
    check_model(config, tiny_data(modalities=modalities))


def test_a_given_fused_feature_is_used_as_it_is() -> None:
    data = tiny_data(modalities=("image", "fused"))
    model = built(small(feature_dim=None), ("image", "fused"))
    assert torch.equal(model.features["fused"](), data["item"]["fused"])
    assert built(small(fused="image"), ("image", "text")).modalities == ("image", "text")


def test_a_built_fused_feature_holds_every_modality() -> None:
    model = built(small(feature_dim=None), ("image", "text"))
    fused = model.features["fused"]()
    assert fused.shape == (24, 8 + 9)
    assert fused[0, :8].tolist() == [0.0] * 8  # the blank image row
    assert bool(fused[0, 8:].any())
    for part in (fused[:, :8], fused[:, 8:]):
        rows = part[part.any(1)]
        torch.testing.assert_close(rows.square().sum(1).mean(), torch.tensor(1.0))
        torch.testing.assert_close(rows.mean(0), torch.zeros(part.shape[1]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("score_views", [(), ("text",), ("fused", "image"), None])
def test_score_views_are_those_in_the_score(score_views: tuple[str, ...] | None) -> None:
    model = built(small(score_views=score_views, loss=BPRConfig()))
    embeddings = model.encode()
    scoring = ("image", "text", "fused") if score_views is None else score_views
    assert set(embeddings.views) == {"id", *scoring}
    id_user, id_item, views = model.propagate()
    item = sum((views[m] for m in scoring), id_item)
    user = sum((model.user_from_item(views[m]) for m in scoring), id_user)
    torch.testing.assert_close(embeddings.item, item)
    torch.testing.assert_close(embeddings.user, user)


def test_the_loss_ranks_by_the_scores_that_are_served() -> None:
    batch = batches(1)[0]
    for config in (small(), small(loss=BPRConfig(), recover_weight=0.3, score_views=("image",))):
        model = built(config)
        embeddings = model.encode()
        served = config.loss.loss(embeddings.user, embeddings.item, batch)
        torch.testing.assert_close(model.loss_terms(batch)["ranking"], served)


def test_terms_equal_the_loops() -> None:
    preserve = PreserveConfig(weight=0.5, modalities={"image": 2, "fused": 1})
    config = small(
        loss=BPRConfig(), l2_weight=0.1, l2_batch_size=30, margin_weight=0.2, smooth_weight=0.3,
        align=AlignConfig(weight=0.4), preserve=preserve,
    )  # fmt: skip
    model = built(config)
    batch = batches(1)[0]
    assert len(batch.positive_items.unique()) < len(batch.positive_items)
    users, positives, negatives = (ids.tolist() for ids in batch)
    with torch.no_grad():
        terms = {name: float(term) for name, term in model.loss_terms(batch).items()}
        embeddings = model.encode()
        _, id_item, views = model.propagate()
        rows = {m: x.double().numpy() for m, x in {"id": id_item, **views}.items()}
        heads = {m: model.heads[m](torch.from_numpy(x).float()).double().numpy() for m, x in rows.items()}
    user, item = (x.double().numpy() for x in embeddings[:2])
    triple = [user[users], item[positives], item[negatives]]
    features = {m: model.features[m]().double().numpy()[positives] for m in model.modalities}
    graph = model.item_graphs["fused"]
    column, row = graph.edge_index.tolist()
    expected = {
        "ranking": naive.bpr(*triple),
        "l2": 0.1 * naive.squared_norm_penalty(triple, 30),
        "margin": 0.2 * naive.cosine_margin(*triple, 0.2),
        "align": 0.4 * sum(
            naive.info_nce(heads["fused"][positives], heads[m][positives], 0.2)
            for m in ("id", "image", "text")
        ),
        "preserve": 0.5 * sum(
            weight * naive.similarity_gap(rows[m][positives], features[m])
            for m, weight in (("image", 2), ("fused", 1))
        ),
        "smooth": 0.3 * naive.smoothness(row, column, graph.weight.tolist(), rows["fused"]),
    }  # fmt: skip
    assert terms == pytest.approx(expected, rel=1e-5)


def test_every_view_is_aligned_with_a_gradient_that_reaches_it() -> None:
    model = built(small(preserve=PreserveConfig(weight=0)))
    model.loss_terms(batches(1)[0])["align"].backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    for modality in model.modalities:
        assert f"views.{modality}.project.weight" in reached
        assert f"heads.{modality}.0.weight" in reached
    assert {"user.weight", "item.weight", "heads.id.0.weight"} <= reached


@pytest.mark.parametrize("anchor", ["id", "image", "text", "fused"])
def test_any_view_may_be_the_anchor(anchor: str) -> None:
    model = built(small(align=AlignConfig(anchor=anchor)))
    others = [name for name in ("id", "image", "text", "fused") if name != anchor]
    assert [term.targets for term in model.align_terms] == [{name: 1.0} for name in others]
    batch = batches(1)[0]
    with torch.no_grad():
        _, id_item, views = model.propagate()
        projected = {
            name: model.heads[name](x[batch.positive_items]).double().numpy()
            for name, x in {"id": id_item, **views}.items()
        }
        found = float(model.loss_terms(batch)["align"])
    expected = sum(naive.info_nce(projected[anchor], projected[name], 0.2) for name in others)
    assert found == pytest.approx(0.1 * expected, rel=1e-5)


def test_a_detached_anchor_gets_no_gradient_from_its_term() -> None:
    terms = (AlignTerm(targets={"image": 0.25, "text": 0.75}, detach_anchor=True),)
    model = built(small(align=AlignConfig(terms=terms), view_start="feature"))
    model.loss_terms(batches(1)[0])["align"].backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert grads["heads.fused.0.weight"] is None
    assert grads["views.fused.project.weight"] is None
    assert bool(grads["views.text.project.weight"].any())


def test_cosine_losses_serve_cosines_of_the_sum() -> None:
    model = built(small())
    scores = model.encode().scores(torch.arange(20))
    id_user, id_item, views = model.propagate()
    total = sum(views.values())
    user, item = id_user + model.user_from_item(total), id_item + total
    torch.testing.assert_close(scores, functional.normalize(user) @ functional.normalize(item).T)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score_views": ("imag",)}, r"model\.score_views: unknown modality 'imag'; did you mean 'image'"),
        (
            {"preserve": PreserveConfig(modalities={"txt": 1})},
            r"preserve\.modalities: .*did you mean 'text'",
        ),
        (
            {"align": AlignConfig(anchor="fuse")},
            r"align\.anchor: unknown modality 'fuse'; did you mean 'fused'",
        ),
        (
            {"align": AlignConfig(terms=(AlignTerm(targets={"audio": 1}),))},
            r"align\.terms: unknown modality 'audio'",
        ),
        (
            {"align": AlignConfig(terms=(AlignTerm(targets={"fused": 1}),))},
            r"align\.terms: 'fused' is the anchor and cannot be its own target",
        ),
    ],
)
def test_wrong_names_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(small(**settings))


def test_a_modality_cannot_be_named_like_the_collaborative_view() -> None:
    with pytest.raises(ConfigError, match="a modality is named 'id'"):
        built(small(), ("image", "id"))


def test_data_without_modalities_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one modality"):
        built(small(), ())


@pytest.mark.parametrize(
    "settings",
    [
        {"align": {"head": "none", "source": "feature"}},
        {"align": {"terms": [{"targets": {"image": 0}}]}},
        {"align": {"temperature": 0}},
        {"knn": {"k": 0}},
        {"view_start": "gates"},
        {"l2_wieght": 1},
    ],
)
def test_wrong_values_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MODELS.parse({"name": "anchorrec", **settings})


def test_released_settings_survive_yaml() -> None:
    config = anchorrec_config(PUBLIC)
    assert MODELS.parse(config.model_dump(mode="json")) == config


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
    first, second = align_terms(config, model.anchor, model.modalities)
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
    terms = align_terms(config, model.anchor, model.modalities)
    assert [list(term.targets) for term in terms] == [["id"], ["image"], ["text"]]
    data = batches(5)
    after = train(with_terms(model, terms, ("image", "text")), data)
    assert torch.equal(after, train(copy.deepcopy(model), data))
    for term in terms:
        left = tuple(other for other in terms if other is not term)
        without = with_terms(model, left, ("image", "text"))
        assert float((train(without, data) - after).abs().max()) > 1e-3
