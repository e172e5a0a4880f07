from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.losses.ranking import (
    RANKING_LOSSES,
    BPRConfig,
    FullSoftmaxConfig,
    RankingLossConfig,
    SoftmaxConfig,
)
from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.models.base import EmbeddingModelConfig
from anchorrec_graph.models.scoring import Scoring, beside, sum_views, to_cosine
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.typing import Batch, View

USERS, ITEMS, DIM = 20, 24, 4  # of tiny_data
BATCH = Batch(  # with repeated users and items
    torch.tensor([0, 1, 1, 4, 2, 0]), torch.tensor([3, 0, 0, 23, 3, 5]), torch.tensor([1, 2, 4, 2, 0, 6])
)
LOSSES = [
    *(RANKING_LOSSES.parse(name) for name in sorted(RANKING_LOSSES)),
    SoftmaxConfig(temperature=0.7, num_negatives=2),
    FullSoftmaxConfig(temperature=1.5),
]
each_loss = pytest.mark.parametrize("config", LOSSES, ids=repr)
each_weight = pytest.mark.parametrize("weight", [0.0, 0.6, 3.0])


class Given(nn.Module):
    """Stands in for the history view."""

    def forward(self) -> View:
        return history()


def scoring(config: RankingLossConfig, weight: float, with_history: bool = False) -> Scoring:
    settings = EmbeddingModelConfig(name="any", loss=config, popularity_weight=weight)
    model = Scoring(settings, tiny_data()).double()
    assert model.history is None
    if with_history:
        model.history = Given()  # type: ignore[assignment]
    return model


def rows(count: int, dim: int = DIM, seed: int = 0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def learned() -> dict[str, View]:
    """Three views, the last one of items only."""
    return {
        "id": View(rows(USERS, seed=1), rows(ITEMS, seed=2)),
        "image": View(rows(USERS, seed=3), rows(ITEMS, seed=4)),
        "recovered": View(None, rows(ITEMS, seed=5)),
    }


def history() -> View:
    return View(rows(USERS, 7, seed=6), rows(ITEMS, 7, seed=7))


def priors(weight: float) -> list[float]:
    users: list[set[int]] = [set() for _ in range(ITEMS)]
    for user, item in tiny_data()[INTERACTS].edge_index.T.tolist():
        users[item].add(user)
    logs = [math.log(1 + len(of_item)) for of_item in users]
    return [weight * (value - sum(logs) / ITEMS) for value in logs]


def logit(config: RankingLossConfig, user: Tensor, item: Tensor) -> Tensor:
    """Without prior, of one user and one item."""
    if isinstance(config, BPRConfig):
        return (user * item).sum()
    assert isinstance(config, SoftmaxConfig | FullSoftmaxConfig), "give the new loss its loop"
    return (user * item).sum() / (user.norm() * item.norm() * config.temperature)


def loop(config: RankingLossConfig, user: Tensor, item: Tensor, weight: float) -> Tensor:
    """The ranking loss, one triple after the other."""
    prior, total = priors(weight), torch.zeros((), dtype=torch.float64)
    for u, p, n in zip(*(ids.tolist() for ids in BATCH), strict=True):
        logits = [logit(config, user[u], row) + shift for row, shift in zip(item, prior, strict=True)]
        if isinstance(config, BPRConfig):
            total = total + (1 + (logits[n] - logits[p]).exp()).log()
        elif isinstance(config, SoftmaxConfig):
            drawn = BATCH.negative_items[: config.num_negatives].tolist()
            others = sum((logits[i].exp() for i in drawn), torch.zeros(())) * ITEMS / len(drawn)
            total = total - (logits[p].exp() / (logits[p].exp() + others)).log()
        else:
            total = total - (logits[p].exp() / sum((x.exp() for x in logits), torch.zeros(()))).log()
    return total / len(BATCH.users)


@each_weight
@each_loss
def test_loss_and_gradients_equal_the_loop(config: RankingLossConfig, weight: float) -> None:
    tables = [rows(USERS).requires_grad_(), rows(ITEMS, seed=1).requires_grad_()]
    loss, expected = scoring(config, weight).loss(*tables, BATCH), loop(config, *tables, weight)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)  # the prior is float32
    for found, gradient in zip(
        torch.autograd.grad(loss, tables), torch.autograd.grad(expected, tables), strict=True
    ):
        torch.testing.assert_close(found, gradient, rtol=1e-5, atol=1e-8)


@each_loss
def test_the_prior_changes_the_loss(config: RankingLossConfig) -> None:
    tables = rows(USERS), rows(ITEMS, seed=1)
    losses = [float(scoring(config, weight).loss(*tables, BATCH)) for weight in (0.0, 0.6, 3.0)]
    assert min(abs(a - b) for a, b in pairwise(losses)) > 1e-2


@pytest.mark.parametrize("beside_it", [False, True], ids=["learned", "history too"])
@each_weight
@each_loss
def test_served_scores_rank_as_the_logits_of_the_loss(
    config: RankingLossConfig, weight: float, beside_it: bool
) -> None:
    final = sum_views(learned())
    prior = priors(weight)
    logits = torch.tensor(
        [
            [float(logit(config, u, i)) + prior[place] for place, i in enumerate(final.item)]
            for u in final.user
        ]
    ).double()
    if beside_it:
        view = history()
        assert view.user is not None
        logits += view.user @ view.item.T
    scores = scoring(config, weight, beside_it).embeddings(learned()).scores(torch.arange(USERS))
    torch.testing.assert_close(scores * config.logit_scale, logits, rtol=1e-5, atol=1e-5)
    assert torch.equal(scores.argsort(dim=1), logits.argsort(dim=1))


@each_weight
@each_loss
def test_views_sum_to_the_final_embeddings(config: RankingLossConfig, weight: float) -> None:
    final = scoring(config, weight, with_history=True).embeddings(learned())
    assert list(final.views) == [*learned(), "history", *(["popularity"] if weight else [])]
    assert final.user.shape == (USERS, DIM + 7 + bool(weight))
    users = [view.user for view in final.views.values() if view.user is not None]
    assert len(users) == len(final.views) - 1
    torch.testing.assert_close(torch.stack(users).sum(0), final.user)
    torch.testing.assert_close(torch.stack([view.item for view in final.views.values()]).sum(0), final.item)


@each_weight
@each_loss
def test_scores_decompose_exactly(config: RankingLossConfig, weight: float) -> None:
    """History and prior keep their own parts: no mixed product with a learned view goes to them."""
    final = scoring(config, weight, with_history=True).embeddings(learned())
    users, items = torch.arange(USERS).repeat_interleave(ITEMS), torch.arange(ITEMS).repeat(USERS)
    parts = view_parts(final, users, items)
    scores = final.scores(torch.arange(USERS)).flatten()
    torch.testing.assert_close(torch.stack([*parts.values()]).sum(0), scores)
    view = history()
    assert view.user is not None
    own = {"history": view.user @ view.item.T}
    if weight:
        own["popularity"] = torch.tensor(priors(weight), dtype=torch.float64).repeat(USERS, 1)
    for name, expected in own.items():
        torch.testing.assert_close(parts[name] * config.logit_scale, expected.flatten(), rtol=1e-6, atol=1e-6)
    alone = view_parts(scoring(config, 0.0).embeddings(learned()), users, items)
    for name in learned():
        torch.testing.assert_close(parts[name], alone[name])


@each_loss
def test_without_weight_nothing_is_added(config: RankingLossConfig) -> None:
    model = scoring(config, 0.0)
    assert model.prior is None
    found, expected = model.embeddings(learned()), sum_views(learned())
    expected = to_cosine(expected) if config.cosine else expected
    assert torch.equal(found.user, expected.user)
    assert torch.equal(found.item, expected.item)
    assert list(found.views) == list(expected.views)
    for name, view in expected.views.items():
        assert torch.equal(found.views[name].item, view.item)
    tables = rows(USERS), rows(ITEMS, seed=1)
    assert torch.equal(model.loss(*tables, BATCH), config.loss(*tables, BATCH))


def test_the_prior_is_centred_and_no_part_of_the_state() -> None:
    model = scoring(BPRConfig(), 0.6)
    assert model.prior is not None
    assert float(model.prior.sum()) == pytest.approx(0, abs=1e-5)
    assert model.prior.tolist() == pytest.approx(priors(0.6), abs=1e-6)
    assert model.state_dict() == {}


def test_inputs_are_kept() -> None:
    views = learned()
    scoring(FullSoftmaxConfig(), 0.6, with_history=True).embeddings(views)
    assert list(views) == list(learned())
    assert all(torch.equal(views[name].item, expected.item) for name, expected in learned().items())


@each_loss
def test_rows_without_a_direction_keep_the_prior(config: RankingLossConfig) -> None:
    views = {"id": View(torch.zeros(USERS, DIM).double(), rows(ITEMS))}
    scores = scoring(config, 0.6).embeddings(views).scores(torch.arange(USERS))
    expected = (torch.tensor(priors(0.6)) / config.logit_scale).double().repeat(USERS, 1)
    torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)


@each_loss
def test_final_is_embeddings_without_views_and_holds_one_at_a_time(config: RankingLossConfig) -> None:
    alive: list[weakref.ref[Tensor]] = []

    def one_by_one() -> Iterator[tuple[str, View]]:
        for name, view in learned().items():
            assert all(rows() is None for rows in alive)
            made = view.item.clone()
            alive.append(weakref.ref(made))
            yield name, View(view.user, made)
            del made

    model = scoring(config, 0.6, with_history=True)
    found, expected = model.final(one_by_one()), model.embeddings(learned())
    assert len(alive) == len(learned())
    assert torch.equal(found.user, expected.user)
    assert torch.equal(found.item, expected.item)
    assert not found.views


def test_sum_and_cosine() -> None:
    summed = sum_views(learned())
    item = sum((view.item for view in learned().values()), torch.zeros(()))
    torch.testing.assert_close(summed.item, item)
    torch.testing.assert_close(summed.user, rows(USERS, seed=1) + rows(USERS, seed=3))
    scaled = to_cosine(summed)
    cosines = functional.normalize(summed.user) @ functional.normalize(summed.item).T
    torch.testing.assert_close(scaled.scores(torch.arange(USERS)), cosines)
    assert scaled.views["recovered"].user is None
    torch.testing.assert_close(
        scaled.views["image"].item, rows(ITEMS, seed=4) / item.norm(dim=1, keepdim=True)
    )


def test_a_view_beside_others_has_its_own_columns() -> None:
    learned_views, view = sum_views(learned()), history()
    joined = beside(learned_views, "history", view)
    assert view.user is not None
    assert torch.equal(joined.item, torch.cat([learned_views.item, view.item], dim=1))
    assert torch.equal(joined.user, torch.cat([learned_views.user, view.user], dim=1))
    assert joined.views["recovered"].user is None


@pytest.mark.parametrize(
    "name", [name for name in sorted(MODELS) if issubclass(MODELS.config_class(name), EmbeddingModelConfig)]
)
def test_a_modality_named_popularity_is_refused(name: str) -> None:
    config = MODELS.config_class(name)(popularity_weight=0.5)
    if name == "lightgcn":  # reads no modality
        build_model(config, tiny_data(modalities=("popularity",)))
        return
    with pytest.raises(
        ConfigError, match=f"^a modality is named 'popularity', a name that {name} uses itself"
    ):
        build_model(config, tiny_data(modalities=("image", "popularity")))
