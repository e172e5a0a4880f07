"""Loop twins of graphs, layers and losses: slow, plain, in float64, written from the formulas."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def cosine(a: Matrix, b: Matrix) -> float:
    """0 where one of the two has no direction."""
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / length if 0 < length < math.inf else 0.0


def has_direction(row: Matrix) -> bool:
    return all(math.isfinite(x) for x in row) and any(x != 0 for x in row)


def knn(features: Matrix, k: int, include_self: bool = False) -> list[list[tuple[int, float]]]:
    """(neighbour, cosine) of each item, nearest first."""
    neighbours = []
    for i, row in enumerate(features):
        near = [
            (j, cosine(row, other))
            for j, other in enumerate(features)
            if has_direction(row) and has_direction(other) and (include_self or i != j)
        ]
        neighbours.append(sorted(near, key=lambda pair: -pair[1])[:k])
    return neighbours


def symmetric_weight(rows: list[int], columns: list[int], weight: list[float], num_nodes: int) -> list[float]:
    degree = [0.0] * num_nodes
    for row, value in zip(rows, weight, strict=True):
        degree[row] += value
    scale = [1 / math.sqrt(d) if d > 0 else 0.0 for d in degree]
    return [w * scale[r] * scale[c] for r, c, w in zip(rows, columns, weight, strict=True)]


def propagate(rows: list[int], columns: list[int], weight: list[float], num_rows: int, x: Matrix) -> Matrix:
    y = np.zeros((num_rows, x.shape[1]))
    for row, column, value in zip(rows, columns, weight, strict=True):
        for place in range(x.shape[1]):
            y[row, place] += value * x[column, place]
    return y


def lightgcn(pairs: list[tuple[int, int]], user: Matrix, item: Matrix, num_layers: int) -> Matrix:
    """Users, then items, from dense normalised matrices."""
    size = len(user) + len(item)
    adjacency = np.zeros((size, size))
    for u, i in pairs:
        adjacency[u, len(user) + i] = adjacency[len(user) + i, u] = 1
    degree = adjacency.sum(1)
    for row in range(size):
        for column in range(size):
            if adjacency[row, column]:
                adjacency[row, column] = 1 / math.sqrt(degree[row] * degree[column])
    layer = total = np.concatenate([user, item])
    for _ in range(num_layers):
        layer = adjacency @ layer
        total = total + layer
    return total / (num_layers + 1)


def smoothness(rows: list[int], columns: list[int], weight: list[float], x: Matrix) -> float:
    total = 0.0
    for row, column, value in zip(rows, columns, weight, strict=True):
        total += value * sum((a - b) ** 2 for a, b in zip(x[row], x[column], strict=True))
    return total / max(len(weight), 1)


def info_nce(query: Matrix, key: Matrix, temperature: float) -> float:
    """Over the full batch [B, d], rows that occur several times included."""
    total = 0.0
    for i, row in enumerate(query):
        scores = [math.exp(cosine(row, other) / temperature) for other in key]
        total -= math.log(scores[i] / sum(scores))
    return total / len(query)


def similarity_gap(embedding: Matrix, features: Matrix) -> float:
    """Over the full batch [B, d] and [B, D], through both B x B matrices."""
    total = 0.0
    for q_i, x_i in zip(embedding, features, strict=True):
        for q_j, x_j in zip(embedding, features, strict=True):
            total += (float(q_i @ q_j) - cosine(x_i, x_j)) ** 2
    return math.sqrt(total) / len(embedding)


def bpr(user: Matrix, positive: Matrix, negative: Matrix) -> float:
    gaps = [float(u @ p - u @ n) for u, p, n in zip(user, positive, negative, strict=True)]
    return sum(math.log(1 + math.exp(-gap)) for gap in gaps) / len(gaps)


def softmax(user: Matrix, positive: Matrix, negatives: Matrix, num_items: int, temperature: float) -> float:
    """The same negatives [N, d] for every user, each standing for num_items / N items."""
    total = 0.0
    for u, p in zip(user, positive, strict=True):
        own = math.exp(cosine(u, p) / temperature)
        drawn = sum(math.exp(cosine(u, n) / temperature) for n in negatives)
        others = drawn * num_items / len(negatives)
        total -= math.log(own / (own + others))
    return total / len(user)


def full_softmax(user: Matrix, item: Matrix, positives: list[int], temperature: float) -> float:
    total = 0.0
    for u, p in zip(user, positives, strict=True):
        scores = [math.exp(cosine(u, i) / temperature) for i in item]
        total -= math.log(scores[p] / sum(scores))
    return total / len(user)


def cosine_margin(user: Matrix, positive: Matrix, negative: Matrix, margin: float) -> float:
    total = 0.0
    for u, p, n in zip(user, positive, negative, strict=True):
        total += max(0.0, margin + (1 - cosine(u, p)) - (1 - cosine(u, n)))
    return total / len(user)


def squared_norm_penalty(blocks: list[Matrix], batch_size: int) -> float:
    return sum(float(value) ** 2 for block in blocks for value in block.flat) / (2 * batch_size)


def norm_penalty(blocks: list[Matrix]) -> float:
    return sum(math.sqrt(sum(float(v) ** 2 for v in block.flat)) for block in blocks) / len(blocks[0])
