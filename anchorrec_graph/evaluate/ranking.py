"""Exact top-k lists for many users, block by block."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.errors import DataError, TrainingError
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.topk import stable_topk
from anchorrec_graph.typing import Scorer


class TopK(NamedTuple):
    """The k best items of n users, best first. Missing places hold the item -1 and the score -inf."""

    scores: Tensor  # [n, k]
    items: Tensor  # [n, k] int64


def top_k(
    scorer: Scorer, users: Tensor, k: int, excluded: UserItems | None = None, block_size: int = 256
) -> TopK:
    """The k items with the highest scores for every user, never holding more than a block of scores.

    Equal scores are ordered by item, lower number first. An excluded item, and
    one that the scorer itself gives -inf, is never returned; a user with fewer
    than k other items gets the item -1 in the places left.

    Args:
        scorer: gives floating-point scores [B, I] for users [B]. They are left as they were.
        users: [n] int64 row numbers, on the CPU.
        excluded: the items that must not be returned, for example those seen in training.
        block_size: users scored at once; memory is block_size * I scores.

    Raises:
        DataError: the scores are not [B, I] with the I of `excluded`.
        TrainingError: the score of a candidate is NaN.
    """
    with torch.no_grad():
        blocks = [_block_top_k(scorer, block, k, excluded) for block in torch.split(users, block_size)]
    return TopK(torch.cat([best.scores for best in blocks]), torch.cat([best.items for best in blocks]))


def _block_top_k(scorer: Scorer, users: Tensor, k: int, excluded: UserItems | None) -> TopK:
    """`top_k` of one block, whose scores are freed on return, before the next block needs memory."""
    scores = scorer.scores(users).contiguous()
    if excluded is None:
        best = best_columns(scores, k)
    else:
        _check_shape(scores, len(users), excluded.num_items)
        rows, items = (index.to(scores.device) for index in excluded.select(users))
        kept = scores[rows, items]
        scores[rows, items] = -torch.inf
        best = best_columns(scores, k)
        scores[rows, items] = kept  # the scorer may have lent us its own table
    _check_nan(best.scores, users)
    return best


def best_columns(scores: Tensor, k: int) -> TopK:
    """The k largest entries of every row of scores [B, I], equal entries by column; -inf is no candidate.

    A row that holds a NaN gets NaN as its first score.
    """
    num_items = scores.shape[1]
    values, columns = stable_topk(scores, k)
    columns = columns.masked_fill(values == -torch.inf, -1)
    missing = (0, max(k - num_items, 0))
    return TopK(
        torch.nn.functional.pad(values, missing, value=-torch.inf),
        torch.nn.functional.pad(columns, missing, value=-1),
    )


def _check_shape(scores: Tensor, num_users: int, num_items: int) -> None:
    if scores.shape != (num_users, num_items):
        raise DataError(
            f"the scorer gave scores {list(scores.shape)} for {num_users} users; "
            f"the data has {num_items} items, so [{num_users}, {num_items}] is needed"
        )


def _check_nan(scores: Tensor, users: Tensor) -> None:
    # NaN counts as the largest value in amax and topk, so the first column shows it.
    bad = scores[:, 0].isnan().nonzero().flatten()
    if len(bad) > 0:
        raise TrainingError(
            f"the scores of user row {int(users[bad[0]])} hold NaN; "
            "the embeddings are not finite (lower the learning rate, or look for an empty feature row)"
        )
