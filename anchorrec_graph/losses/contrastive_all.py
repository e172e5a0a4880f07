"""Contrastive alignment of a batch against all rows of the other space."""

from __future__ import annotations

from torch import Tensor

from anchorrec_graph.losses.log_sums import weighted_log_sums


def info_nce_over_all(query: Tensor, key: Tensor, rows: Tensor, count: Tensor, temperature: float) -> Tensor:
    r"""One-directional InfoNCE of a batch of B rows whose negatives are all n rows, in the batch or not:

    .. math::
        -\frac1B \sum_i \log \frac{\exp(\langle q_i, k_i \rangle/\tau)}
        {\sum_{j=1}^n \exp(\langle q_i, k_j \rangle/\tau)}

    with the positive in the denominator (LGMRec). The rows are taken as they are; of unit length, their
    products are cosines. Only the b distinct `rows` of the batch are given, with how often each occurs.
    Time is O(b n d), memory O((b + n) d). It can be differentiated once.

    Shapes: query, key [n, d], rows and count [b] -> scalar.
    """
    query = query[rows] / temperature
    positive = ((query * key[rows]).sum(1) * count).sum()
    return (weighted_log_sums(query, key, count) - positive) / count.sum()
