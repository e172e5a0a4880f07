"""`Shortlist`: an index of the item rows that names a user's candidates, so that not all items are scored."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate.ranking import TopK
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.graph.hnsw import LINKS, build_index, require_faiss, search_index
from anchorrec_graph.sample import fixed_sample
from anchorrec_graph.serve.space import Space

EFFORT = 256  # items kept in sight in a search, at the least
MOST = 1_024  # candidates; a user who needs more is compared with all items
K, USERS, LEAST = 20, 1_000, 0.9  # the recall of the K best of so many users must be LEAST
BLOCK = 256  # users


class Shortlist(NamedTuple):
    """The item rows in an index (`build_index`).

    It may be read by any number of threads.
    """

    index: Any  # faiss.IndexHNSWFlat of I rows
    recall: float  # share of the K best of USERS users, as measured when it was built or renewed

    def best(self, item: Tensor, rows: Tensor, users: Tensor, k: int, seen: UserItems | None) -> TopK:
        """The k best of the candidates by exact score, equal scores by item: `top_k` but for missed items.

        There are as many candidates as items were seen beside the k. A place that cannot be filled so has
        the item -1.

        Shapes: item rows [I, D], user rows [B, D], users [B] (rows of `seen`).
        """
        blocks = [
            self._block(item, block, numbers, k, seen)
            for block, numbers in zip(rows.split(BLOCK), users.split(BLOCK), strict=True)
        ]
        return TopK(torch.cat([best.scores for best in blocks]), torch.cat([best.items for best in blocks]))

    def _block(self, item: Tensor, rows: Tensor, users: Tensor, k: int, seen: UserItems | None) -> TopK:
        count = torch.full((len(users),), k)
        if seen is not None:
            count += seen.pointers[users + 1] - seen.pointers[users]
        fits = count <= MOST
        fetch = min(max(k, int(count[fits].max()) if fits.any() else k), len(item))
        candidates = search_index(self.index, rows, fetch, EFFORT).sort(1).values
        scores = torch.bmm(item[candidates.clamp(min=0)], rows.unsqueeze(2)).squeeze(2)
        out = (candidates < 0) | ~fits[:, None]
        if seen is not None:
            out |= seen.contains(users, candidates)
        ranked = scores.masked_fill_(out, -torch.inf).sort(dim=1, descending=True, stable=True)
        values, places = ranked.values[:, :k], ranked.indices[:, :k]
        unfit = ~(values > -torch.inf)  # also NaN
        return TopK(values, candidates.gather(1, places).masked_fill_(unfit, -1))

    def write(self, path: Path) -> None:
        import faiss

        faiss.write_index(self.index, str(path))

    @property
    def facts(self) -> dict[str, Any]:
        """For the manifest of an export."""
        return {"kind": f"HNSW{LINKS}", "k": K, "users": USERS, "recall": self.recall}


def build_shortlist(space: Space) -> Shortlist:
    """Of a space's items, with the recall of its own users (at most 1,000, drawn with a fixed seed).

    Equal rows give equal files.

    Raises:
        ConfigError: faiss is missing, or the recall is below 0.9.
        DataError: a row is not finite.
    """
    require_faiss("an index of the items")
    if not bool(torch.isfinite(space.item).all()):
        raise DataError(
            "an item row is not finite, so items cannot be indexed: train again, or give --no-ann"
        )
    return _measured(build_index([space.item], space.item.shape[1]), space)


def renewed(shortlist: Shortlist, space: Space) -> Shortlist:
    """A shortlist for what its space has become: items may have been added, and users may be others.

    If there are new items it is built anew, and has the bytes that `build_shortlist` gives; the rows of the
    old ones must be as they were. Its recall is measured again in any case.

    Raises:
        ConfigError, DataError: as `build_shortlist` does.
    """
    if shortlist.index.ntotal != len(space.item):
        return build_shortlist(space)
    return _measured(shortlist.index, space)


def _measured(index: Any, space: Space) -> Shortlist:
    """Raises ConfigError if the recall is below LEAST."""
    recall = measured_recall(Shortlist(index, 0.0), space)
    if recall < LEAST:
        raise ConfigError(
            f"the index finds {recall:.3f} of the {K} best items of users, below {LEAST}: the rows have too "
            "little structure for it; give --no-ann, and all items are scored"
        )
    return Shortlist(index, recall)


def measured_recall(shortlist: Shortlist, space: Space) -> float:
    """The share of the K best items of a sample of users that the shortlist finds, or others as good."""
    users = fixed_sample(len(space.user), USERS)
    k, hits = min(K, len(space.item)), 0
    for block in users.split(BLOCK):
        rows = space.user[block]
        least = (rows @ space.item.T).topk(k, dim=1).values[:, -1:]
        found = shortlist.best(space.item, rows, block, k, None).scores
        hits += int((found >= least - 1e-5 * least.abs()).sum())
    return hits / max(k * len(users), 1)


def read_shortlist(path: Path, facts: dict[str, Any], item: Tensor) -> Shortlist | None:
    """A shortlist for these item rows, memory-mapped; None where faiss is not installed: all are scored.

    The file must have been checked against its hash: faiss reads it as it stands.

    Raises:
        ValueError: it is no such index, or of other rows.
    """
    if find_spec("faiss") is None:
        return None
    import faiss

    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise ValueError(f"{path.name} is no index: {error}") from error
    of_rows = isinstance(index, faiss.IndexHNSWFlat) and index.metric_type == faiss.METRIC_INNER_PRODUCT
    if not of_rows or (index.ntotal, index.d) != tuple(item.shape):
        raise ValueError(f"{path.name} is not the index of {len(item)} rows of {item.shape[1]}")
    return Shortlist(index, float(facts["recall"]))
