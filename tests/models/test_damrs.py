from __future__ import annotations

import naive_damrs
import pytest
import torch
from tiny_anchorrec import batches
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.cooccurrence import CooccurrenceConfig
from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import build_model
from anchorrec_graph.models.damrs import DAMRS, DAMRSConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data

MODALITIES = [("image",), ("image", "text"), ("a", "b", "c")]
COUNTS = CooccurrenceConfig(k=2, weight="count", min_count=1)  # in the tiny data few items share two users


def shifted(modalities: tuple[str, ...] = ("image", "text")) -> HeteroData:
    """Every row has a direction and the mean cosine is positive, as the twin needs it."""
    data = tiny_data(modalities=modalities)
    for modality in modalities:
        data["item"][modality] = data["item"][modality] + 0.5
    return data


def built(data: HeteroData | None = None, **settings: object) -> DAMRS:
    torch.manual_seed(0)
    config = DAMRSConfig(embedding_dim=8, **settings)
    model = build_model(config, tiny_data() if data is None else data)
    assert isinstance(model, DAMRS)
    return model


@pytest.mark.parametrize("num_layers", [(2, 1), (0, 1), (1, 2), (3, 0)])
@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_scores_loss_and_gradients_equal_the_dense_twin(
    modalities: tuple[str, ...], num_layers: tuple[int, int]
) -> None:
    data, weights = shifted(modalities), {"user_align": 0.7, "item_align": 0.3}
    model = built(
        data,
        backbone=LightGCNBackboneConfig(num_layers=num_layers[0]),
        num_item_layers=num_layers[1],
        cooccurrence=COUNTS,
        knn=KnnConfig(k=4, include_self=True),
        user_align_weight=0.7,
        item_align_weight=0.3,
    ).double()
    pairs = [tuple(pair) for pair in data[INTERACTS].edge_index.T.tolist()]
    graphs = naive_damrs.modality_graphs({m: data["item"][m] for m in modalities}, 4)
    graphs["behaviour"] = naive_damrs.behaviour_graph(pairs, 24, 2, 1)
    assert list(model.item_graphs) == list(graphs)

    user, item = model.user.weight, model.item.weight
    nodes = naive_damrs.lightgcn(pairs, user, item, num_layers[0])
    views = [torch.linalg.matrix_power(graph, num_layers[1]) @ item for graph in graphs.values()]
    scores = nodes[:20] @ (nodes[20:] + sum(views) / len(views)).T
    torch.testing.assert_close(model.encode().scores(torch.arange(20)), scores, rtol=1e-6, atol=1e-7)

    batch = batches(1)[0]
    expected = naive_damrs.loss(nodes[:20], nodes[20:], views, batch)
    expected = {name: weights.get(name, 1.0) * term for name, term in expected.items()}
    found = model.loss_terms(batch)
    for name, term in expected.items():
        torch.testing.assert_close(found[name].double(), term, rtol=1e-5, atol=0)
        mine = torch.autograd.grad(found[name], (user, item), retain_graph=True, allow_unused=True)
        twin = torch.autograd.grad(term, (user, item), retain_graph=True, allow_unused=True)
        for gradient, other in zip(mine, twin, strict=True):
            assert (gradient is None) == (other is None)
            if gradient is not None and other is not None:
                largest = float(other.abs().max())
                torch.testing.assert_close(gradient, other, rtol=0, atol=1e-5 * largest)
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_views_are_named_by_modality(modalities: tuple[str, ...]) -> None:
    model = built(tiny_data(modalities=modalities))
    assert list(model.encode().views) == ["id", *modalities, "behaviour"]
    check_model(model.config, tiny_data(modalities=modalities))


@pytest.mark.parametrize("loss", sorted(RANKING_LOSSES))
def test_any_ranking_loss_keeps_the_rules(loss: str) -> None:
    config = DAMRSConfig(embedding_dim=8, loss=RANKING_LOSSES.parse(loss))
    check_model(config)
    assert set(built(loss=config.loss).loss_terms(batches(1)[0])) == {"ranking", "user_align", "item_align"}


def test_another_ranking_loss_ranks_by_the_scores_that_are_served() -> None:
    model, batch = built(loss=SoftmaxConfig()), batches(1)[0]
    embeddings = model.encode()
    expected = model.config.loss.loss(embeddings.user, embeddings.item, batch)
    torch.testing.assert_close(model.loss_terms(batch)["ranking"], expected)
    torch.testing.assert_close(embeddings.user, functional.normalize(embeddings.user, dim=1))


def test_terms_without_weight_are_left_out() -> None:
    model = built(user_align_weight=0, item_align_weight=0)
    assert set(model.loss_terms(batches(1)[0])) == {"ranking"}
    check_model(model.config)


def test_every_item_is_its_own_neighbour_but_where_it_has_no_features() -> None:
    model = built()
    diagonal = {name: graph(torch.eye(24)).diagonal() for name, graph in model.item_graphs.items()}
    assert diagonal["image"][0] == 0  # the blank row
    assert bool((diagonal["image"][1:] > 0).all())
    assert bool((diagonal["text"] > 0).all())
    assert bool((diagonal["behaviour"] > 0).all())


@pytest.mark.parametrize(
    "settings",
    [
        {"knn": KnnConfig(k=2, include_self=True)},
        {"cooccurrence": COUNTS},
        {"num_item_layers": 2},
        {"backbone": LightGCNBackboneConfig(num_layers=1)},
    ],
    ids=str,
)
def test_settings_of_graphs_change_the_scores(settings: dict[str, object]) -> None:
    users = torch.arange(20)
    assert not torch.allclose(built(**settings).encode().scores(users), built().encode().scores(users))


@pytest.mark.parametrize(
    ("settings", "term"),
    [
        ({"num_neighbours": 3}, "item_align"),
        ({"temperature": 0.5}, "item_align"),
        ({"item_align_weight": 2e-3}, "item_align"),
        ({"user_align_weight": 2.0}, "user_align"),
    ],
)
def test_settings_of_the_loss_change_their_term_only(settings: dict[str, object], term: str) -> None:
    before, after = (model.loss_terms(batches(1)[0]) for model in (built(), built(**settings)))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == [term]


@pytest.mark.parametrize("name", ["id", "behaviour"])
def test_names_that_the_model_uses_are_no_modality(name: str) -> None:
    with pytest.raises(ConfigError, match=f"a modality is named '{name}'"):
        built(tiny_data(modalities=("image", name)))


def test_data_without_modalities_is_refused() -> None:
    with pytest.raises(ConfigError, match="damrs needs a modality"):
        built(tiny_data(modalities=()))
