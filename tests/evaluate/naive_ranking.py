"""Loop twins of `anchorrec_graph.evaluate`: slow, plain, and written from the definitions."""

from __future__ import annotations

import math


def top_k(scores: list[float], k: int, excluded: set[int]) -> list[int]:
    """Full stable sort: best first, lower item first among equals, -1 where candidates run out."""
    candidates = [i for i, score in enumerate(scores) if i not in excluded and score > -math.inf]
    best = sorted(candidates, key=lambda i: -scores[i])[:k]
    return best + [-1] * (k - len(best))


def user_metric(kind: str, items: list[int], relevant: set[int], k: int) -> float:
    hits = [1 if item in relevant else 0 for item in items[:k]]
    if kind == "Recall":
        return sum(hits) / len(relevant)
    if kind == "Precision":
        return sum(hits) / k
    if kind == "Hit":
        return float(any(hits))
    if kind == "MRR":
        return next((1 / rank for rank, hit in enumerate(hits, 1) if hit), 0.0)
    if kind == "MAP":
        total = sum(sum(hits[:rank]) / rank for rank, hit in enumerate(hits, 1) if hit)
        return total / min(k, len(relevant))
    assert kind == "NDCG"
    gained = sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits, 1))
    return gained / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))


def list_metric(kind: str, lists: list[list[int]], train: list[set[int]], num_items: int, k: int) -> float:
    shown = [item for items in lists for item in items[:k] if item >= 0]
    exposure = [shown.count(item) for item in range(num_items)]
    if kind == "Coverage":
        return sum(count > 0 for count in exposure) / num_items
    if kind == "Gini":
        apart = sum(abs(a - b) for a in exposure for b in exposure)  # mean absolute difference form
        return apart / (2 * num_items * sum(exposure))
    assert kind == "Novelty"
    users = [sum(item in items for items in train) for item in range(num_items)]
    return sum(-math.log2(max(1, users[item]) / len(train)) for item in shown) / len(shown)
