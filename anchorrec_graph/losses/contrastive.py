"""Contrastive alignment of two spaces."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from anchorrec_graph.losses.log_sums import weighted_log_sums


def info_nce(query: Tensor, key: Tensor, count: Tensor, temperature: float) -> Tensor:
    r"""One-directional InfoNCE (van den Oord et al. 2018) over a batch of B rows, its own negatives:

    .. math:: -\frac1B \sum_i \log \frac{\exp(\cos(q_i, k_i)/\tau)}{\sum_j \exp(\cos(q_i, k_j)/\tau)}

    The denominator runs over the whole batch, the positive included. Only the b
    distinct rows are given, with how often each occurs: row j then enters the
    denominator `count[j]` times, so that the value is that of the full batch.

    Shapes: query, key [b, d], count [b] -> scalar, in [0, log B + 2 / temperature] up to rounding. It can be
    differentiated once.
    """
    query, key = functional.normalize(query, dim=1) / temperature, functional.normalize(key, dim=1)
    positive = ((query * key).sum(1) * count).sum()
    return (weighted_log_sums(query, key, count, count.to(key.dtype).log()) - positive) / count.sum()
