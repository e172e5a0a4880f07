"""Rows of a diagnosis about item spaces alone: structure, position, dimension, and popular neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.diagnose.dimension import (
    effective_rank,
    participation_ratio,
    singular_values,
    stable_rank,
)
from anchorrec_graph.diagnose.items import Items, Row
from anchorrec_graph.diagnose.popularity import neighbour_log_degree
from anchorrec_graph.diagnose.position import (
    item_alignment,
    item_paired_distance,
    item_reciprocal_rank,
    modality_gap,
    uniformity,
)
from anchorrec_graph.diagnose.structure import item_coherence, item_overlap, item_trustworthiness, linear_cka
from anchorrec_graph.graph.topology import neighbour_overlap


class Space(NamedTuple):
    """An item space with its neighbours, which are searched once for all measures."""

    name: str
    rows: Tensor  # [n, d]
    near: Tensor  # [2, E] (item, its neighbour)


def structure_rows(space: Space, native: Space, items: Items) -> Iterator[Row]:
    """What the space keeps of the neighbourhoods and the geometry of `native`, whose features it may be."""
    names = space.name, native.name
    overlap = item_overlap(neighbour_overlap(space.near, native.near, len(items.users)))
    yield from items.of_items("overlap", *names, overlap)
    yield from items.of_items("coherence", *names, item_coherence(space.near, native.rows))
    near = space.near[:, torch.isin(space.near[0], items.ranked)]
    yield from items.of_items("trustworthiness", *names, item_trustworthiness(near, native.rows))
    yield from items.of_space(*names, partial(_cka, space.rows, native.rows))


def position_rows(name_a: str, a: Tensor, name_b: str, b: Tensor, items: Items) -> Iterator[Row]:
    """Where the same items lie in two spaces of equal width [n, d]."""
    names = name_a, name_b
    yield from items.of_items("paired distance", *names, item_paired_distance(a, b))
    yield from items.of_items("alignment", *names, item_alignment(a, b))
    yield from items.of_space(*names, partial(_gap, a, b))


def retrieval_rows(name_a: str, a: Tensor, name_b: str, b: Tensor, items: Items) -> Iterator[Row]:
    """How well an item's row of a finds its own row of b."""
    yield from items.of_items("mrr", name_a, name_b, item_reciprocal_rank(a, b, items.ranked))


def spread_rows(name: str, space: Tensor, items: Items) -> Iterator[Row]:
    """How a space [n, d] is spread: uniformity and dimension."""
    yield from items.of_space(name, "", partial(_spread, space))


def neighbour_rows(space: Space, items: Items) -> Iterator[Row]:
    """How popular the neighbours in a space are."""
    popularity = neighbour_log_degree(space.near, items.users)
    yield from items.of_items("neighbour popularity", space.name, "", popularity)


def _cka(a: Tensor, b: Tensor, rows: Tensor) -> Mapping[str, float]:
    return {"cka": linear_cka(a[rows], b[rows])}


def _gap(a: Tensor, b: Tensor, rows: Tensor) -> Mapping[str, float]:
    return {"gap": modality_gap(a[rows], b[rows])}


def _spread(space: Tensor, rows: Tensor) -> Mapping[str, float]:
    singular = singular_values(space[rows])
    return {
        "uniformity": uniformity(space[rows]),
        "effective rank": effective_rank(singular),
        "participation ratio": participation_ratio(singular),
        "stable rank": stable_rank(singular),
    }
