"""Contrastive alignment of a batch against all rows of the other space."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.losses.blockwise import blockwise_sum


def info_nce_over_all(
    query: Tensor, key: Tensor, rows: Tensor, count: Tensor, temperature: float, block_size: int = 256
) -> Tensor:
    r"""One-directional InfoNCE of a batch of B rows whose negatives are all n rows, in the batch or not:

    .. math::
        -\frac1B \sum_i \log \frac{\exp(\langle q_i, k_i \rangle/\tau)}
        {\sum_{j=1}^n \exp(\langle q_i, k_j \rangle/\tau)}

    with the positive in the denominator (LGMRec). The rows are taken as they are; of unit length, their
    products are cosines. Only the b distinct `rows` of the batch are given, with how often each occurs.
    Time is O(b n d), memory O(block_size n).

    Shapes: query, key [n, d], rows and count [b] -> scalar.
    """
    query = query[rows] / temperature

    def log_sums(block: Tensor, query: Tensor, key: Tensor) -> Tensor:
        logits = query[block] @ key.T
        largest = logits.detach().amax(1, keepdim=True)
        # written out, because the backward of logsumexp takes all exponentials again
        sums = (logits - largest).exp_().sum(1).log() + largest.squeeze(1)
        return (sums * count[block]).sum()

    blocks = torch.arange(len(rows), device=rows.device).split(block_size)
    positive = ((query * key[rows]).sum(1) * count).sum()
    return (blockwise_sum(log_sums, blocks, query, key) - positive) / count.sum()
