"""DA-MRS in dense matrices and in the public code's formulas: slow, float64, two modalities or more."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.typing import Batch

TINY = 1e-9  # in logarithms, as in the public code


def modality_graphs(features: dict[str, Tensor], k: int) -> dict[str, Tensor]:
    """Dense normalised graphs; every row must have a direction, and the mean cosine be positive."""
    unit = {m: functional.normalize(x.double(), dim=1) for m, x in features.items()}
    similar = {m: x @ x.T for m, x in unit.items()}
    every = torch.stack([c >= c.mean() for c in similar.values()]).all(0)
    graphs = {}
    for m, cosine in similar.items():
        graph = torch.zeros_like(cosine)
        for i, row in enumerate(cosine):
            kept = torch.where(every[i], row, 0.0)
            graph[i, kept.topk(min(k, int(every[i].sum()))).indices] = 1
        graphs[m] = normalized(graph)
    return graphs


def behaviour_graph(pairs: list[tuple[int, int]], num_items: int, k: int, min_count: int) -> Tensor:
    users = [{u for u, i in pairs if i == item} for item in range(num_items)]
    graph = torch.eye(num_items, dtype=torch.float64)
    for i in range(num_items):
        common = [(-len(users[i] & users[j]), len(users[j]), j) for j in range(num_items) if j != i]
        for count, _, j in sorted(common)[:k]:
            if -count >= min_count:
                graph[i, j] = 1
    return normalized(graph)


def normalized(graph: Tensor) -> Tensor:
    scale = graph.sum(1).clamp(min=1).rsqrt()
    return scale[:, None] * graph * scale


def lightgcn(pairs: list[tuple[int, int]], user: Tensor, item: Tensor, num_layers: int) -> Tensor:
    size = len(user) + len(item)
    adjacency = torch.zeros(size, size, dtype=torch.float64)
    for u, i in pairs:
        adjacency[u, len(user) + i] = adjacency[len(user) + i, u] = 1
    layers = [torch.cat([user, item])]
    for _ in range(num_layers):
        layers.append(normalized(adjacency) @ layers[-1])
    return torch.stack(layers).mean(0)


def loss(user: Tensor, item: Tensor, views: list[Tensor], batch: Batch) -> dict[str, Tensor]:
    """The three terms without their weights, from C [U, d], G [I, d] and the views [I, d]."""
    items, users = torch.cat(batch[1:]).unique(), batch.users.unique()
    mean = sum(views) / len(views)
    return {
        "ranking": ranking(user[batch.users], item + mean, views, batch),
        "user_align": user_alignment(user[users], item[items], mean[items]),
        "item_align": item_alignment(views, items),
    }


def ranking(users: Tensor, item: Tensor, views: list[Tensor], batch: Batch) -> Tensor:
    unit = [functional.normalize(view, dim=1) for view in views]
    positive, negative = (
        torch.stack([(users * x[ids]).sum(1).sigmoid() for x in unit]).detach() for ids in batch[1:]
    )
    trusted = positive.mean(0) * torch.exp(-positive.var(0)) ** 2
    doubted = (positive.max(0).values - negative.mean()).clamp(0, 1)
    doubted = torch.where(positive.mean(0) < negative.mean(), doubted, 0.0)
    gap = (users * item[batch.positive_items]).sum(1) - (users * item[batch.negative_items]).sum(1)
    return -(gap.sigmoid().log() * trusted + (-gap).sigmoid().log() * doubted).mean()


def user_alignment(users: Tensor, first: Tensor, second: Tensor) -> Tensor:
    p, q = ((users @ functional.normalize(x, dim=1).T).sigmoid() for x in (first, second))

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return a * (a.log() - b.log()) + (1 - a) * ((1 - a).log() - (1 - b).log())

    return (kl(p, q) + kl(q, p)).mean()


def item_alignment(views: list[Tensor], items: Tensor, k: int = 10, temperature: float = 0.2) -> Tensor:
    cosines = [functional.normalize(x, dim=1)[items] @ functional.normalize(x, dim=1).T for x in views]
    labels = [cosine.softmax(1).detach() for cosine in cosines]
    total = torch.zeros((), dtype=torch.float64)
    for cosine, label in zip(cosines, labels, strict=True):
        agreed = (sum(labels) + label).topk(k, dim=1).indices
        own = label.scatter(1, agreed, 0).topk(k, dim=1).indices
        e = (cosine / temperature).exp()
        near, alone, every = e.gather(1, agreed).sum(1), e.gather(1, own).sum(1), e.sum(1)
        total = total - ((near / every + TINY).log() + (alone / (every - near) + TINY).log()).mean()
    return total / len(views)
