"""Item-item graphs of many items: neighbours sought in an index, and the share of them that is found."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from anchorrec_graph.data.features import widened
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph import hnsw, ivf
from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.knn import BLOCK, KnnConfig, KnnEdges, keep_nearest, kept_edges
from anchorrec_graph.graph.sharing import team
from anchorrec_graph.sample import fixed_sample

SAMPLE, SAMPLE_SEED = 1_000, 0  # items whose neighbours are also sought among all, for the recall
TRIAL, TRIAL_SEED = 200, 1  # others, by which a search is chosen
ENOUGH = 0.95  # share of the trial's neighbours with which no further search is tried
SLACK = 0.02  # of that share, for which no dearer search is taken
AIM = 0.92  # up to this share SLACK does not count; so every `least_recall` up to .9 leads to the same lists
LISTS = (2, 4, 8, 16, 32)  # that `ivf` reads
PARTS = 32  # of the items, sought one after the other
ROWS, NUMBERS = 1 << 16, 1 << 25  # of a part, at most: its items, and their features' entries
ROUNDING = 1e-6  # of a cosine: who is as near as the k-th neighbour counts as found

Search = Callable[[Tensor, int], Tensor]  # unit rows [b, d], count -> places [b, count or more], -1: none


class Approximation(NamedTuple):
    """Edges as of `knn_edges`, and the share of the true k neighbours of a sample that the search found."""

    edges: KnnEdges
    recall: float


class _Rows(NamedTuple):
    """Rows in the features' own type, widened to float32 at least where they are used."""

    values: Tensor  # [n, d]
    norm: Tensor  # [n], 0 for a row without a direction
    items: Tensor  # [m] rows that have one; these are indexed, in this order

    @classmethod
    def of(cls, features: Tensor, block_size: int) -> _Rows:
        blocks = [torch.linalg.vector_norm(widened(block), dim=1) for block in features.split(block_size)]
        norm = torch.cat(blocks)
        norm = norm.where(torch.isfinite(norm), 0.0)
        return cls(features, norm, norm.nonzero().flatten())

    def unit(self, index: Tensor) -> Tensor:
        rows = self.values.index_select(0, index.flatten()).view(*index.shape, self.values.shape[1])
        return widened(rows) / self.norm[index].unsqueeze(-1)

    def drawn(self, count: int, seed: int) -> Tensor:
        """At most `count` of the items, ascending, the same ones every time."""
        return self.items[fixed_sample(len(self.items), count, seed)]


class _Sample(NamedTuple):
    """Some items, and how near the k nearest of all items are."""

    items: Tensor  # [m]
    least: Tensor  # [m] cosine of the last of these neighbours
    number: Tensor  # [m] how many there are

    @classmethod
    def of(cls, rows: _Rows, items: Tensor, config: KnnConfig, block_size: int) -> _Sample:
        unit, k = rows.unit(items), min(config.k, len(rows.norm))
        best = rows.norm.new_full((len(items), k), -torch.inf)
        who = torch.zeros(best.shape, dtype=torch.long)
        for places in torch.arange(len(rows.norm)).split(8 * block_size):
            block = (unit @ rows.unit(places).T).masked_fill_(rows.norm[places] == 0, -torch.inf)
            if not config.include_self:
                block.masked_fill_(items[:, None] == places, -torch.inf)
            keep_nearest(best, who, block, int(places[0]))
        true = best > -torch.inf
        return cls(items, best.masked_fill(~true, torch.inf).amin(1), true.sum(1))

    def share(self, cosine: Tensor) -> float:
        """The share of these neighbours that is among those with cosines [m, k] (-inf: none)."""
        found = (cosine >= self.least.unsqueeze(1) - ROUNDING).sum(1).minimum(self.number)
        return float(found.sum() / self.number.sum()) if self.number.any() else 1.0


def approximate_knn_edges(features: Tensor, config: KnnConfig, block_size: int = BLOCK) -> Approximation:
    """`knn_edges` by an index: most neighbours, not all. Cosines are exact.

    `approximate.method` "ivf" reads 2, 4, 8, 16 or 32 lists of `graph.ivf`. With a the larger of .92 and
    `least_recall` + .02 it tries them on 200 items until their share of the neighbours is .95, or a if that
    is more, and takes the fewest that come within .02 of the best share, and to a if any does. "hnsw"
    follows the links of `graph.hnsw`; "auto" is ivf where that comes .02 above `least_recall`, and else the
    better of both, or the one that is not refused. The recall is measured on 1,000 items drawn for it, whose
    neighbours are also sought among all. Equal features: equal edges. Several processes (`sharing.team`)
    share the searches; each has the whole index. Where a tenth of the rows or more are equal, such as those
    of a picture that stands for none, "hnsw" misses neighbours of the others, and "ivf" takes time that
    grows with the square of their number.

    Args:
        features: [n, d] of any floating type, also from a memory map; the index holds a copy.
        block_size: items that are widened at a time while they are indexed and compared with the samples.

    Raises:
        ConfigError: faiss is missing, or the recall is below `least_recall`.
    """
    return _accepted(partial(_made, features, config, block_size), config, len(features))


def cached_approximate_edges(features: Tensor, config: KnnConfig) -> Approximation:
    """`approximate_knn_edges`, where what an index finds is kept on disk, also if it is refused then.

    The key is the hash of the features and what decides about the edges: lower `least_recall`, and what
    was refused is taken as it is (above .9 the lists are sought anew).

    Raises:
        ConfigError: what `approximate_knn_edges` refuses.
    """

    def kept(method: str) -> dict[str, Tensor]:
        by = {"effort": config.approximate.effort} if method == "hnsw" else {"aim": _aim(config)}
        settings = config.model_dump(mode="json", exclude={"approximate"}) | {"method": method, **by}
        make = partial(_made, features, config, BLOCK, method)
        return cached_tensors("knn", json.dumps(settings), [features], make, together=True)

    return _accepted(kept, config, len(features))


def _accepted(make: Callable[[str], dict[str, Tensor]], config: KnnConfig, count: int) -> Approximation:
    """The edges by the method of `config`, of those that `make` finds by "ivf" or "hnsw" (`_made`)."""
    search = config.approximate
    found = make("ivf" if search.method == "auto" else search.method)
    if search.method == "auto" and found["trial"] < min(1.0, search.least_recall + SLACK):
        both = found, make("hnsw")
        found = max(both, key=lambda one: (one["recall"] >= search.least_recall, float(one["trial"])))
    recall = float(found["recall"])
    if recall < search.least_recall:
        raise ConfigError(
            f"the approximate item graph has {recall:.3f} of the nearest neighbours of a sample of items, "
            f"and model.knn.approximate.least_recall is {search.least_recall}: lower that to "
            f"{math.floor(1000 * recall) / 1000} if this is enough, take another "
            f"model.knn.approximate.method ({search.method}), raise model.knn.approximate.effort "
            f"({search.effort}) of hnsw, or model.knn.approximate.above ({search.above}) to {count} for all "
            "of them"
        )
    return Approximation(KnnEdges(found["edge_index"], found["edge_weight"]), recall)


def _made(features: Tensor, config: KnnConfig, block_size: int, method: str) -> dict[str, Tensor]:
    """The edges that "ivf" or "hnsw" finds, and the shares of the sample's and of the trial's neighbours."""
    _require(len(features))
    rows = _Rows.of(features, block_size)
    cosine, neighbour, trial = _nearest(rows, config, block_size, method)
    sample = _Sample.of(rows, rows.drawn(SAMPLE, SAMPLE_SEED), config, block_size)
    recall = team().gather(sample.share(cosine[sample.items]))[0]
    shares = {"recall": recall, "trial": trial}
    edges = kept_edges(cosine, neighbour, config)._asdict()
    return edges | {name: torch.tensor(share, dtype=torch.float64) for name, share in shares.items()}


def _require(count: int) -> None:
    try:
        hnsw.require_faiss(f"the approximate graph of {count} items")
    except ConfigError as error:
        raise ConfigError(
            f"{error}, or raise model.knn.approximate.above to {count} for the exact graph, whose time is "
            "quadratic"
        ) from None


def _nearest(rows: _Rows, config: KnnConfig, block_size: int, method: str) -> tuple[Tensor, Tensor, float]:
    """Cosines and row numbers of the k nearest that were found [n, k], and the share of the trial's.

    The cosine is -inf where there are fewer.
    """
    size, trial = len(rows.norm), 1.0
    cosine = rows.norm.new_full((size, min(config.k, size)), -torch.inf)
    neighbour = torch.zeros(cosine.shape, dtype=torch.long)
    if len(rows.items):
        trial, search = _chosen(rows, config, block_size, method)
        blocks = rows.items.split(queries(size, rows.values.shape[1], block_size))
        shares = [blocks[rank :: team().size] for rank in range(team().size)]
        mine = [_found(rows, items, search, config, block_size) for items in shares[team().rank]]
        counts, order = [sum(map(len, share)) for share in shares], torch.cat(list(itertools.chain(*shares)))
        none = cosine[:0], neighbour[:0]
        found = (torch.cat(parts) for parts in zip(none, *mine, strict=True))
        cosine[order], neighbour[order] = (team().all_rows(part, counts) for part in found)
    return cosine, neighbour, trial


def queries(count: int, columns: int, block_size: int = BLOCK) -> int:
    """Of `count` items how many are sought together; as many processes as there are such parts can share."""
    return max(1, min(ROWS, NUMBERS // columns, max(block_size, math.ceil(count / PARTS))))


def _found(
    rows: _Rows, items: Tensor, search: Search, config: KnnConfig, block_size: int
) -> tuple[Tensor, Tensor]:
    """Cosines and row numbers [b, k] of the nearest of the items [b] that a search finds."""
    unit, k = rows.unit(items), config.k
    places = search(unit, min(k + 1, len(rows.items)))  # one more, because an item finds itself
    size = max(1, 16 * block_size // (k + 1))  # items whose found rows exist at a time
    parts = zip(items.split(size), unit.split(size), places.split(size), strict=True)
    cosine, neighbour = zip(*(_nearest_of(rows, *part, config) for part in parts), strict=True)
    return torch.cat(cosine), torch.cat(neighbour)


def _nearest_of(
    rows: _Rows, items: Tensor, unit: Tensor, place: Tensor, config: KnnConfig
) -> tuple[Tensor, Tensor]:
    """The nearest [b, k] of the items' found rows, which stand at the places [b, m]."""
    k, other = min(config.k, len(rows.norm)), rows.items[place.clamp(min=0)]
    near = torch.bmm(rows.unit(other), unit.unsqueeze(2)).squeeze(2)
    none = place < 0 if config.include_self else (place < 0) | (other == items[:, None])
    best = near.masked_fill_(none, -torch.inf).topk(min(k, place.shape[1]), dim=1)
    missing = (0, k - best.values.shape[1])
    who = other.gather(1, best.indices)
    return pad(best.values, missing, value=-torch.inf), pad(who, missing)


def _aim(config: KnnConfig) -> float:
    """The share of the trial's neighbours with which a recall of `least_recall` is safe."""
    return min(1.0, max(AIM, config.approximate.least_recall + SLACK))


def _chosen(rows: _Rows, config: KnnConfig, block_size: int, method: str) -> tuple[float, Search]:
    """The share of the trial's neighbours that a search finds, and the search.

    The cheapest that finds `_aim`, or what any finds if that is less, and at most `SLACK` less than any.
    The first of several processes decides: another processor may round a share to the other side.
    """
    trial = _Sample.of(rows, rows.drawn(TRIAL, TRIAL_SEED), config, block_size)
    aim, tried = _aim(config), list[tuple[float, Search]]()
    for search in _searches(rows, config, block_size, method):
        share = trial.share(_found(rows, trial.items, search, config, block_size)[0])
        tried.append((team().gather(share)[0], search))
        if tried[-1][0] >= max(ENOUGH, aim):
            break
    most = max(share for share, _ in tried)
    least = max(most - SLACK, min(most, aim))
    return next((share, search) for share, search in tried if share >= least)


def _searches(rows: _Rows, config: KnnConfig, block_size: int, method: str) -> list[Search]:
    """The searches of an index of the rows, cheapest first."""
    blocks = map(rows.unit, rows.items.split(block_size))
    if method == "hnsw":
        index = hnsw.build_index(blocks, rows.values.shape[1])
        return [partial(hnsw.search_index, index, effort=config.approximate.effort)]
    lists = ivf.num_lists(len(rows.items))
    sample = rows.unit(rows.drawn(lists * ivf.TRAINING, TRIAL_SEED))
    index = ivf.build_index(sample, blocks, lists)
    return [partial(ivf.search_index, index, lists=read) for read in LISTS]
