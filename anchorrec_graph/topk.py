"""The largest entries of every row, faster than `torch.topk` on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor


def row_topk(scores: Tensor, k: int, group: int = 64) -> tuple[Tensor, Tensor]:
    """Values and columns [n, min(k, m)] of the k largest entries of every row of [n, m], largest first.

    Columns are split into groups. Exact: let t be the smallest maximum of the k
    groups with the largest maxima. Those groups hold k entries >= t, and no
    entry of another group exceeds t, so only they, and the columns that fill no
    group, are searched. Equal entries come in no particular order. For 7,050
    columns and k = 20 it saves 8 to 60 % of torch.topk's time, for 1,024 and k = 10 four fifths.

    Args:
        group: columns per group. 64 is the fastest of 16 to 96 for thousands of columns, 16 for one thousand.
    """
    num_groups = scores.shape[1] // group
    if 2 * k > num_groups:
        best = scores.topk(min(k, scores.shape[1]), dim=1)
        return best.values, best.indices
    grouped = num_groups * group
    groups = torch.unflatten(scores[:, :grouped], 1, (num_groups, group))
    chosen = groups.amax(dim=2).topk(k, dim=1, sorted=False).indices  # [n, k]
    entries = groups.gather(1, chosen[:, :, None].expand(-1, -1, group)).flatten(1)
    best = torch.cat([entries, scores[:, grouped:]], dim=1).topk(k, dim=1)
    place, within = best.indices // group, best.indices % group
    columns = chosen.gather(1, place.clamp(max=k - 1)) * group + within
    left_over = best.indices - k * group + grouped
    return best.values, torch.where(place < k, columns, left_over)
