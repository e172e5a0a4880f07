from __future__ import annotations

from typing import Any

import naive
import pytest
import torch
from pydantic import ValidationError
from tiny_anchorrec import batches, built, learned, small
from torch.nn import functional

from anchorrec_graph.encoders.fused import fuse_features
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.losses.ranking import BPRConfig, FullSoftmaxConfig
from anchorrec_graph.models import MODELS
from anchorrec_graph.models.anchorrec import AnchorRec
from anchorrec_graph.nn.alignment import AlignConfig, AlignTerm
from anchorrec_graph.nn.history import History, HistoryConfig
from anchorrec_graph.nn.preservation import PreserveConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.typing import Batch

NAMES = [("image",), ("tags", "audio"), ("image", "text", "fused"), ("a", "b", "c", "d")]


@pytest.mark.parametrize("modalities", NAMES, ids="+".join)
def test_any_names_and_number_of_modalities(modalities: tuple[str, ...]) -> None:
    config = small()
    model = built(config, modalities)
    with_fused = modalities if "fused" in modalities else (*modalities, "fused")
    assert model.modalities == model.score_views == with_fused
    assert list(model.encode().views) == ["id", *with_fused, "history", "popularity"]
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


def test_a_modality_without_variance_adds_nothing_to_the_fused_one() -> None:
    torch.manual_seed(0)
    constant = torch.ones(50, 1) * torch.randn(1, 30) * torch.rand(50, 1)
    fused = fuse_features({"a": torch.randn(50, 8), "b": constant}, 16)
    assert bool(fused[:, :8].any())
    assert not bool(fused[:, 8:].any())


@pytest.mark.parametrize("score_views", [(), ("text",), ("fused", "image"), None])
def test_score_views_are_those_in_the_score(score_views: tuple[str, ...] | None) -> None:
    model = built(learned(score_views=score_views, loss=BPRConfig()))
    embeddings = model.encode()
    scoring = ("image", "text", "fused") if score_views is None else score_views
    assert set(embeddings.views) == {"id", *scoring}
    id_user, id_item, views = model.propagate()
    item = sum((views[m] for m in scoring), id_item)
    user = sum((model.user_from_item(views[m]) for m in scoring), id_user)
    torch.testing.assert_close(embeddings.item, item)
    torch.testing.assert_close(embeddings.user, user)


@pytest.mark.parametrize("weight", [0.0, 0.8])
def test_the_loss_ranks_by_the_scores_that_are_served(weight: float) -> None:
    """All but the history view, which no loss reads."""
    batch = batches(1)[0]
    rows = torch.arange(len(batch.users))
    for loss, others in (
        (FullSoftmaxConfig(), {}),
        (BPRConfig(), {"recover_weight": 0.3, "score_views": ("image",)}),
    ):
        model = built(learned(loss=loss, popularity_weight=weight, **others))
        logits = model.encode().scores(batch.users) * loss.logit_scale
        gaps = logits[rows, batch.positive_items] - logits[rows, batch.negative_items]
        bpr = -functional.logsigmoid(gaps).mean()
        softmax = functional.cross_entropy(logits, batch.positive_items)
        torch.testing.assert_close(model.loss_terms(batch)["ranking"], softmax if loss.cosine else bpr)


def test_the_history_view_adds_to_the_scores_and_to_no_loss_term() -> None:
    batch, users = batches(1)[0], torch.arange(20)
    history = HistoryConfig(weight=7, dim=5, regularization=3)
    without, model = built(learned()), built(learned(history=history))
    terms = model.loss_terms(batch)
    assert {name: float(term.detach()) for name, term in terms.items()} == {
        name: float(term.detach()) for name, term in without.loss_terms(batch).items()
    }
    assert set(model.state_dict()) == set(without.state_dict())
    view = History(history, tiny_data())()
    added = view.user @ view.item.T / model.config.loss.logit_scale
    torch.testing.assert_close(model.encode().scores(users), without.encode().scores(users) + added)


def test_terms_equal_the_loops() -> None:
    preserve = PreserveConfig(weight=0.5, modalities={"image": 2, "fused": 1})
    config = learned(
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
        views = model.propagate()[2]
        rows = {m: x.double().numpy() for m, x in views.items()}
    user, item = (x.double().numpy() for x in embeddings[:2])
    triple = [user[users], item[positives], item[negatives]]
    features = {m: model.features[m]().double().numpy()[positives] for m in model.modalities}
    graph = model.item_graphs["fused"]
    column, row = graph.edge_index.tolist()
    expected = {
        "ranking": naive.bpr(*triple),
        "l2": 0.1 * naive.squared_norm_penalty(triple, 30),
        "margin": 0.2 * naive.cosine_margin(*triple, 0.2),
        "align": alignment(model, batch),
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


def alignment(model: AnchorRec, batch: Batch) -> float:
    """The alignment term by the loop twin, for heads that read views."""
    with torch.no_grad():
        _, id_item, views = model.propagate()
        projected = {
            name: model.heads[name](x[batch.positive_items]).double().numpy()
            for name, x in {"id": id_item, **views}.items()
            if name in model.heads
        }
    total = 0.0
    for term in model.heads.terms:
        target = sum(share * projected[name] for name, share in term.targets.items())
        total += term.weight * naive.info_nce(projected[model.heads.anchor], target, 0.2)
    return model.config.align.weight * total


@pytest.mark.parametrize("anchor", ["id", "image", "text", "fused"])
def test_any_view_may_be_the_anchor(anchor: str) -> None:
    model = built(small(align=AlignConfig(anchor=anchor)))
    others = [name for name in ("id", "image", "text", "fused") if name != anchor]
    assert [term.targets for term in model.heads.terms] == [{name: 1.0} for name in others]
    batch = batches(1)[0]
    assert float(model.loss_terms(batch)["align"].detach()) == pytest.approx(
        alignment(model, batch), rel=1e-5
    )


def test_terms_have_weights_and_mix_their_targets() -> None:
    terms = (
        AlignTerm(targets={"image": 0.25, "text": 0.75}, weight=3.0, detach_anchor=True),
        AlignTerm(targets={"id": 2.0}, weight=0.5),
    )
    model = built(small(align=AlignConfig(terms=terms, head="linear", weight=0.7)))
    batch = batches(1)[0]
    assert float(model.loss_terms(batch)["align"].detach()) == pytest.approx(
        alignment(model, batch), rel=1e-5
    )


def test_what_is_recovered_is_projected_from_its_view_where_targets_are_features() -> None:
    align = AlignConfig(anchor="id", source="feature", terms=(AlignTerm(targets={"image": 1}),))
    model = built(small(align=align, recover_weight=0.1))
    assert set(model.heads) == {"id", "fused", "image"}
    assert all(torch.isfinite(term) for term in model.loss_terms(batches(1)[0]).values())


def test_a_detached_anchor_gets_no_gradient_from_its_term() -> None:
    terms = (AlignTerm(targets={"image": 0.25, "text": 0.75}, detach_anchor=True),)
    model = built(small(align=AlignConfig(terms=terms), view_start="feature"))
    model.loss_terms(batches(1)[0])["align"].backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert grads["heads.fused.0.weight"] is None
    assert grads["views.fused.project.weight"] is None
    assert bool(grads["views.text.project.weight"].any())


def test_cosine_losses_serve_cosines_of_the_sum() -> None:
    model = built(learned())
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
            r"align\.anchor: unknown view 'fuse'; did you mean 'fused'",
        ),
        (
            {"align": AlignConfig(terms=(AlignTerm(targets={"audio": 1}),))},
            r"align\.terms: unknown view 'audio'",
        ),
        (
            {"align": AlignConfig(terms=(AlignTerm(targets={"fused": 1}),))},
            r"align\.terms: 'fused' is the anchor and cannot be its own target",
        ),
        ({"score_views": ("image", "image")}, "score_views names a view twice"),
        (
            {"align": AlignConfig(anchor="id", source="feature"), "recover_weight": 0.1},
            r"recover_weight needs a projection of the view 'fused'",
        ),
        ({"fused": "imaeg"}, r"model\.fused: unknown modality 'imaeg'; did you mean 'image'"),
    ],
)
def test_wrong_names_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(small(**settings))


@pytest.mark.parametrize("name", ["id", "recovered", "history", "popularity", "items", "type"])
def test_names_that_the_model_uses_are_no_modality(name: str) -> None:
    with pytest.raises(ConfigError, match=f"a modality is named '{name}'"):
        built(small(), ("image", name))


def test_no_modality_may_be_preserved() -> None:
    assert "preserve" in built(small()).loss_terms(batches(1)[0])
    model = built(small(preserve=PreserveConfig(modalities={})))
    assert float(model.loss_terms(batches(1)[0])["preserve"]) == 0


def test_data_without_modalities_is_refused() -> None:
    with pytest.raises(ConfigError, match="anchorrec needs a modality"):
        built(small(), ())


@pytest.mark.parametrize(
    "settings",
    [
        {"align": {"head": "none", "source": "feature"}},
        {"align": {"terms": [{"targets": {"image": 0}}]}},
        {"align": {"terms": [{"targets": {}}]}},
        {"align": {"temperature": 0}},
        {"knn": {"k": 0}},
        {"history": {"weight": -1}},
        {"history": {"dim": 0}},
        {"popularity_weight": -0.1},
        {"view_start": "gates"},
        {"l2_wieght": 1},
    ],
)
def test_wrong_values_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MODELS.parse({"name": "anchorrec", **settings})
