from __future__ import annotations

import pytest
import torch
from shop import random_embeddings
from torch import Tensor

from anchorrec_graph.diagnose.removal import with_views
from anchorrec_graph.explain import ranks as module
from anchorrec_graph.explain.ranks import rank, ranks_without_purchases, ranks_without_views
from anchorrec_graph.models.scoring import sum_views
from anchorrec_graph.typing import View

EVEN = torch.arange(9) % 2 == 0


def naive_rank(scores: Tensor, item: int, candidates: Tensor) -> int:
    before = 0
    for other, score in enumerate(scores.tolist()):
        if candidates[other] and (score > scores[item] or (score == scores[item] and other < item)):
            before += 1
    return before + 1


def test_rank_counts_candidates_and_ties_go_to_the_lower_number() -> None:
    scores = torch.tensor([3.0, 1.0, 2.0, 2.0, 9.0, 2.0])
    everyone = torch.ones(6, dtype=torch.bool)
    assert [rank(scores, item, everyone) for item in range(6)] == [2, 6, 3, 4, 1, 5]
    without_best = everyone.clone()
    without_best[4] = False
    assert [rank(scores, item, without_best) for item in (0, 3)] == [1, 3]


@pytest.mark.parametrize("item", range(9))
def test_ranks_without_views_are_those_of_the_other_views(item: int) -> None:
    embeddings = random_embeddings(5, 9)
    found = ranks_without_views(embeddings, 3, item, EVEN)
    for name in embeddings.views:
        others = with_views(embeddings, [other for other in embeddings.views if other != name])
        assert found[name] == naive_rank(others.scores(torch.tensor([3]))[0], item, EVEN)


def test_nothing_left_to_rank_by_has_no_rank() -> None:
    only_user = View(torch.randn(5, 3), torch.zeros(9, 3))
    items = View(None, torch.randn(9, 3))
    embeddings = sum_views({"user": only_user, "items": items})
    assert ranks_without_views(embeddings, 0, 0, EVEN) == {"user": None, "items": None}


def test_ranks_without_purchases_take_their_rows_from_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)  # one draw in 75 leaves all four ranks equal
    embeddings = random_embeddings(5, 9)
    rows = {name: torch.randn(5, 6) for name in ("id", "image")}  # four purchases and the user's own
    expected = []
    for place in range(1, 5):
        user = embeddings.user[2] - rows["id"][place] - rows["image"][place]
        expected.append(naive_rank(embeddings.item @ user, 4, EVEN))
    assert len(set(expected)) > 1
    assert ranks_without_purchases(rows, embeddings, 2, 4, EVEN) == expected
    monkeypatch.setattr(module, "BLOCK", 3)
    assert ranks_without_purchases(rows, embeddings, 2, 4, EVEN) == expected
    none = {name: part[:1] for name, part in rows.items()}
    assert ranks_without_purchases(none, embeddings, 2, 4, EVEN) == []
