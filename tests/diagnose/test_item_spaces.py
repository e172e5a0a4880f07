from __future__ import annotations

import torch
from models import Given, item_space

from anchorrec_graph.diagnose.spaces import comparable_pairs, final_space, item_spaces, native_spaces
from anchorrec_graph.models import build_model
from anchorrec_graph.models.anchorrec import AnchorRec, AnchorRecConfig
from anchorrec_graph.models.base import ModelConfig
from anchorrec_graph.models.content_knn import ContentKNNConfig
from anchorrec_graph.models.vbpr import VBPRConfig
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.typing import Embeddings


def encoded(config: ModelConfig) -> tuple[AnchorRec, Embeddings]:
    torch.manual_seed(0)
    model = build_model(config, tiny_data())
    with torch.no_grad():
        return model, model.encode()  # type: ignore[return-value]


def test_anchorrec_strips_what_stands_beside_the_learned_views() -> None:
    model, embeddings = encoded(AnchorRecConfig(embedding_dim=8))
    spaces = item_spaces(model, embeddings)
    learned = ["view/id", "view/image", "view/text", "view/fused"]
    assert list(spaces) == ["final", *learned, "view/history"]
    assert {spaces[name].shape[1] for name in ("final", *learned)} == {8}
    torch.testing.assert_close(spaces["final"], sum(spaces[name] for name in learned))
    history = embeddings.views["history"].item
    assert spaces["view/history"].shape[1] == history.shape[1] - 9  # learned columns and popularity's
    assert len(comparable_pairs(spaces)) == 6


def test_views_that_do_not_enter_the_score() -> None:
    model, embeddings = encoded(AnchorRecConfig(embedding_dim=8, score_views=("text",)))
    spaces = item_spaces(model, embeddings)
    assert list(spaces) == ["final", "view/id", "view/text", "view/history", "view/image", "view/fused"]
    with torch.no_grad():
        torch.testing.assert_close(spaces["view/image"], model.propagate()[2]["image"])
    assert not torch.allclose(spaces["final"], spaces["view/id"] + spaces["view/text"] + spaces["view/image"])
    assert ("view/text", "view/image") in comparable_pairs(spaces)


def test_views_in_columns_of_their_own_have_no_common_place() -> None:
    spaces = item_spaces(*encoded(VBPRConfig(embedding_dim=8)))
    assert {"view/id", "view/image", "view/text"} <= set(spaces)
    assert comparable_pairs(spaces) == [("view/image", "view/text")]


def test_views_without_items_are_left_out() -> None:
    """The history of content_knn is a user's: its items are zero."""
    assert "view/history" not in item_spaces(*encoded(ContentKNNConfig()))


def test_final_and_native_spaces() -> None:
    a, b = item_space(0), item_space(1)
    views = Given({"id": a, "image": b}).encode().views
    torch.testing.assert_close(final_space(views), a + b)
    assert final_space({"popularity": views["id"], "history": views["image"]}) is None
    data = tiny_data()
    assert {name: id(rows) for name, rows in native_spaces(data).items()} == {
        f"native/{m}": id(data["item"][m]) for m in ("image", "text")
    }
