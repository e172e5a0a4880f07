"""Position: do the same items lie at the same place in two item spaces of equal width?

All measures look at directions: every row is scaled to length 1 first. Items whose row is zero or
not finite in either space are left out: NaN in values per item, absent from means.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.diagnose.ranks import TIE, count_above
from anchorrec_graph.errors import DataError
from anchorrec_graph.graph.knn import unit_rows


def paired_distance_ratio(space_a: Tensor, space_b: Tensor) -> float:
    r"""How much nearer an item is to itself in the other space than to other items, in cosine distance:

    .. math:: 1 - \frac{\operatorname{mean}_i d(a_i, b_i)}{\operatorname{mean}_{i \ne j} d(a_i, b_j)},
        \qquad d(x, y) = 1 - \cos(x, y)

    1 if every item has the same direction in both, 0 for unrelated spaces, negative if items are farther
    from themselves than from others; at most 1. NaN with fewer than two items, or if both spaces
    are one and the same point. Exact over all pairs, O(n d): the mean cosine is a product of sums.

    Shapes: space_a, space_b [n, d].

    Raises:
        DataError: the shapes differ.
    """
    return float(item_paired_distance(space_a, space_b).nanmean())


def item_paired_distance(space_a: Tensor, space_b: Tensor) -> Tensor:
    r""":math:`1 - d(a_i, b_i) / \operatorname{mean}_{j \ne k} d(a_j, b_k)` of every item: [n].

    See `paired_distance_ratio`, the mean of these values. The denominator is that of all items.
    """
    unit_a, unit_b, both = _paired_directions(space_a, space_b)
    count, own = int(both.sum()), (unit_a * unit_b).sum(1).double()
    total = unit_a.sum(0).double() @ unit_b.sum(0).double() - own.sum()
    apart = 1 - total / (count * (count - 1)) if count > 1 else total.new_tensor(torch.nan)
    return torch.where(both & (apart > TIE), 1 - (1 - own) / apart, torch.nan)


def retrieval_mrr(space_a: Tensor, space_b: Tensor) -> float:
    r"""Mean reciprocal rank of an item's own row of b among all rows of b, asked with its row of a:

    .. math:: \frac1n \sum_i \frac1{r_i}, \qquad r_i = 1 + |\{j : \cos(a_i, b_j) > \cos(a_i, b_i)\}|

    Rows with an equal cosine (closer than 1e-6) count half, so that a space collapsed to a point gives
    2 / (n + 1) and not 1. Range (0, 1]; unrelated spaces reach (1 + 1/2 + ... + 1/n) / n. NaN without
    items. Not symmetric.

    Shapes: space_a, space_b [n, d].

    Raises:
        DataError: the shapes differ.
    """
    return float(item_reciprocal_rank(space_a, space_b).nanmean())


def item_reciprocal_rank(
    space_a: Tensor, space_b: Tensor, queries: Tensor | None = None, block_size: int = 64
) -> Tensor:
    """1 / r_i of every item, see `retrieval_mrr`: [n].

    Args:
        space_a, space_b: [n, d].
        queries: row numbers that ask, by default all; the others get NaN. All rows answer.
        block_size: queries whose cosines with all rows exist at a time.
    """
    unit_a, unit_b, both = _paired_directions(space_a, space_b)
    queries = torch.arange(len(both)) if queries is None else queries
    value = torch.full((len(both),), torch.nan, dtype=torch.float64)
    for rows in queries[both[queries]].split(block_size):
        cosine = (unit_a[rows] @ unit_b.T).masked_fill_(~both, -torch.inf)
        own = cosine.gather(1, rows.unsqueeze(1))
        better, not_worse = count_above(cosine, own + TIE), count_above(cosine, own - TIE)
        value[rows] = 2 / (better + not_worse + 1).double()
    return value


def modality_gap(space_a: Tensor, space_b: Tensor) -> float:
    r""":math:`\| \operatorname{mean}_i \hat a_i - \operatorname{mean}_i \hat b_i \|` of unit rows.

    Liang et al., "Mind the Gap", NeurIPS 2022. Range [0, 2]: 0 if the clouds have the same
    centre, 2 if they are two opposite points. NaN without items.

    Shapes: space_a, space_b [n, d].

    Raises:
        DataError: the shapes differ.
    """
    unit_a, unit_b, both = _paired_directions(space_a, space_b)
    return float((unit_a.sum(0) - unit_b.sum(0)).norm() / both.sum())


def alignment(space_a: Tensor, space_b: Tensor) -> float:
    r""":math:`\operatorname{mean}_i \| \hat a_i - \hat b_i \|^2` of unit rows.

    Wang and Isola, ICML 2020, with alpha = 2 and the two spaces as the two sides of a positive pair.
    Range [0, 4]: 0 if equal, about 2 for unrelated spaces, 4 if opposite. NaN without items.

    Shapes: space_a, space_b [n, d].

    Raises:
        DataError: the shapes differ.
    """
    return float(item_alignment(space_a, space_b).nanmean())


def item_alignment(space_a: Tensor, space_b: Tensor) -> Tensor:
    r""":math:`\| \hat a_i - \hat b_i \|^2` of every item, see `alignment`: [n]."""
    unit_a, unit_b, both = _paired_directions(space_a, space_b)
    return (unit_a - unit_b).square().sum(1).masked_fill(~both, torch.nan)


def uniformity(space: Tensor, block_size: int = 256) -> float:
    r""":math:`\log \operatorname{mean}_{i < j} \exp(-2 \| \hat z_i - \hat z_j \|^2)` of unit rows.

    Wang and Isola, ICML 2020, with t = 2. Range [-8, 0]: 0 for one point, towards -4 for directions
    spread evenly over many dimensions. Items whose row is zero or not finite are left out; NaN with fewer
    than two. Exact, O(n^2 d), block by block: give a random sample of rows where that is too long.

    Shapes: space [n, d].
    """
    unit, valid = unit_rows(space)
    unit = unit[valid]
    count, total = len(unit), torch.zeros((), dtype=torch.float64)
    for start in range(0, count, block_size):
        end = start + block_size
        kernel = (unit[start:end] @ unit[start:].T).sub_(1).mul_(4).clamp_(max=0).exp_()
        square, later = kernel[:, :block_size].triu(1), kernel[:, block_size:]
        total += square.sum(1).double().sum() + later.sum(1).double().sum()
    return float((2 * total / (count * (count - 1))).log()) if count > 1 else float("nan")


def _paired_directions(space_a: Tensor, space_b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit rows [n, d] of both spaces, zero where either has none, and where both have one [n]."""
    if space_a.shape != space_b.shape:
        raise DataError(
            f"spaces {list(space_a.shape)} and {list(space_b.shape)} have no common place; give two of the "
            "same items and width, such as two views, or use a measure of structure"
        )
    (unit_a, valid_a), (unit_b, valid_b) = unit_rows(space_a), unit_rows(space_b)
    both = valid_a & valid_b
    return torch.where(both[:, None], unit_a, 0.0), torch.where(both[:, None], unit_b, 0.0), both
