"""Inverted lists (Jégou et al. 2011) in faiss: rows are put into clusters, and the nearest are searched.

Cheap to build, and exact where a row's neighbours lie in its cluster; rows without clusters need many lists.
The lists hold rows as float16: product codes took longer for the same neighbours (benchmarks/README.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from anchorrec_graph.sample import fixed_sample
from anchorrec_graph.topk import row_topk

LIST_SIZE = 500  # rows per list on average
TRAINING = 64  # rows per list that the clusters are made of
ITERATIONS = 8  # of k-means
BLOCK = 4_096  # rows or members of a list whose products exist at a time
FEW = 8  # rows that look into a list on average, with which reading it once for all of them pays


def num_lists(count: int) -> int:
    """The number of lists for `count` rows."""
    return max(1, count // LIST_SIZE)


def build_index(sample: Tensor, blocks: Iterable[Tensor], lists: int) -> Any:
    """An index of unit rows that come in blocks [b, d], held as float16. Equal rows give an equal index.

    Args:
        sample: unit rows [m, d] that `centres` makes the clusters of, m >= lists.
    """
    import faiss
    from faiss.contrib.ivf_tools import add_preassigned

    centre, dim = centres(sample.float(), lists), sample.shape[1]
    quantizer, half = faiss.IndexFlatIP(dim), faiss.ScalarQuantizer.QT_fp16
    quantizer.add(centre.numpy())
    index = faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, half, faiss.METRIC_INNER_PRODUCT, False)
    index.train(centre.numpy())  # nothing is left to train, but faiss wants it said
    for block in blocks:
        rows = block.float()
        owner = nearest(rows, centre, 1).flatten()
        add_preassigned(index, rows.numpy(), owner.numpy())  # type: ignore[no-untyped-call]
    return index


def centres(sample: Tensor, lists: int) -> Tensor:
    r"""Spherical k-means: unit centres [lists, d] of unit rows [m, d], from rows drawn with a fixed seed.

    Every row goes to the centre c with the largest product, and :math:`c \leftarrow \sum x / |\sum x|` over
    its rows x; a centre without rows stays. faiss's own takes twice the time.
    """
    centre = sample[fixed_sample(len(sample), lists)]
    for _ in range(ITERATIONS):
        owner = nearest(sample, centre, 1).flatten()
        total = torch.zeros_like(centre).index_add_(0, owner, sample)
        centre = normalize(total).where(total.any(dim=1, keepdim=True), centre)
    return centre


def nearest(rows: Tensor, centre: Tensor, count: int) -> Tensor:
    """The centres [n, count] with which rows [n, d] have the largest products, best first."""
    size = max(1, BLOCK**2 // len(centre))  # so that as many products exist at a time as of two blocks
    found = [row_topk(block @ centre.T, count, group=16)[1] for block in rows.split(size)]
    return torch.cat(found)


def search_index(index: Any, rows: Tensor, count: int, lists: int) -> Tensor:
    """Numbers [b, m] of indexed rows with large inner products, best first; -1 where none was found.

    m is `count` and half as many again, because float16 puts rows that are about as near in no certain order.
    Where many rows look into a list it is read once for all of them, and a product of matrices finds them;
    faiss reads it for every row anew.

    Args:
        rows: finite.
        lists: how many of the lists nearest to a row are read.
    """
    import faiss

    rows, lists, wanted = rows.float(), min(lists, index.nlist), count + count // 2
    if len(rows) * lists < FEW * index.nlist:
        params = faiss.SearchParametersIVF(nprobe=lists)  # type: ignore[call-arg]
        return torch.from_numpy(index.search(rows.numpy(), wanted, params=params)[1])
    centre = torch.from_numpy(index.quantizer.reconstruct_n(0, index.nlist))
    near = nearest(rows, centre, lists).flatten()
    visits = near.argsort(stable=True) // lists  # rows, in the order of the lists that they look into
    visitors = visits.split(torch.bincount(near, minlength=index.nlist).tolist())
    best = faiss.ResultHeap(len(rows), wanted, keep_max=True)
    for number, looking in enumerate(visitors):
        ids, members = _members(index, number)
        for who, part in itertools.product(looking.split(BLOCK), range(0, len(ids), BLOCK)):
            held = members[part : part + BLOCK].float()
            scores = rows.index_select(0, who) @ held.T
            best.add_result_subset(who.numpy(), scores.numpy(), ids[part : part + BLOCK])
    best.finalize()
    return torch.from_numpy(best.I)


def _members(index: Any, number: int) -> tuple[Any, Tensor]:
    """Numbers [l] and float16 rows [l, d] of a list, where the index holds them."""
    import faiss

    lists, length = index.invlists, index.invlists.list_size(number)
    if not length:
        return [], torch.empty(0)
    codes = faiss.rev_swig_ptr(lists.get_codes(number), length * index.code_size)
    return (
        faiss.rev_swig_ptr(lists.get_ids(number), length),
        torch.from_numpy(codes.view("float16")).view(length, -1),
    )
