"""Inverted lists (Jégou et al. 2011) by faiss: rows are put into clusters, and the nearest are searched.

Cheap to build, and exact where a row's neighbours lie in its cluster; rows without clusters need many lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from anchorrec_graph.graph.one_thread import one_thread

LIST_SIZE = 500  # rows per list on average
TRAINING = 64  # rows per list that the clusters are made of
ITERATIONS = 8  # of k-means
SCORES = 1 << 24  # that exist at a time


def num_lists(count: int) -> int:
    """The number of lists for `count` rows."""
    return max(1, count // LIST_SIZE)


def build_index(sample: Tensor, blocks: Iterable[Tensor], lists: int) -> Any:
    """An index of unit rows that come in blocks [b, d], held as float16. Equal rows give an equal index.

    Args:
        sample: unit rows [m, d] that k-means (spherical, in one thread) makes the clusters of, m >= lists.
    """
    import faiss

    dim = sample.shape[1]
    kind = (faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False)
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(dim), dim, lists, *kind)
    index.cp.spherical, index.cp.niter, index.cp.min_points_per_centroid = True, ITERATIONS, 1
    with one_thread():
        index.train(sample.float().numpy())
        for rows in blocks:
            index.add(rows.float().numpy())
    return index


def search_index(index: Any, rows: Tensor, count: int, lists: int) -> Tensor:
    """Numbers [b, m] of indexed rows with large inner products, best first; -1 where none was found.

    m is `count` and half as many again, because float16 puts rows that are about as near in no certain order.
    Each list is read once, for all rows that look into it, so that a product of matrices finds them: faiss
    reads it for every row anew, and takes six times as long where many rows are sought together.

    Args:
        lists: how many of the lists nearest to a row are read.
    """
    import faiss

    rows, lists = rows.float(), min(lists, index.nlist)
    near = torch.from_numpy(index.quantizer.search(rows.numpy(), lists)[1]).flatten()
    visits = near.argsort(stable=True) // lists  # rows, in the order of the lists that they look into
    best = faiss.ResultHeap(len(rows), count + count // 2, keep_max=True)
    for number, visitors in enumerate(visits.split(torch.bincount(near, minlength=index.nlist).tolist())):
        length = index.invlists.list_size(number)
        if not (length and len(visitors)):
            continue
        ids = faiss.rev_swig_ptr(index.invlists.get_ids(number), length)
        codes = faiss.rev_swig_ptr(index.invlists.get_codes(number), length * index.code_size)
        members = torch.from_numpy(codes.view("float16")).view(length, -1).float()
        for some in visitors.split(max(1, SCORES // length)):
            scores = rows.index_select(0, some) @ members.T
            best.add_result_subset(some.numpy(), scores.numpy(), ids)
    best.finalize()
    return torch.from_numpy(best.I)
