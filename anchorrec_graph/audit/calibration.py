"""Calibration: does a user's list hold the groups of items in the proportions of the user's history?"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from anchorrec_graph.audit.lists import Known, places
from anchorrec_graph.audit.ratios import Values

ALPHA = 0.01  # Steck's share of the history in the smoothed list
BLOCK = 1024  # users whose distributions are dense at once


def calibration(items: Tensor, known: Known, member: csr_array) -> dict[str, Values]:
    r"""Distance between the groups in each user's history, p, and in the list, q: [n] each.

    .. math:: p(g|u) = \operatorname{mean}_{i \in T_u} w_{gi}, \quad q(g|u) = \operatorname{mean}_r w_{g i_r},
        \quad w_{gi} = [i \in g] / |\{g' : i \in g'\}|

    - kl: :math:`\sum_g p \log(p / \tilde q)`, :math:`\tilde q = (1 - \alpha) q + \alpha p`,
      :math:`\alpha = .01` (Steck, RecSys 2018); in [0, log 100 = 4.61]
    - js: Jensen-Shannon, :math:`\tfrac12 KL(p \| m) + \tfrac12 KL(q \| m)`, m = (p + q) / 2; in [0, log 2]

    Natural logarithms; 0 is a perfectly calibrated list. Unlike exposure, an item of several groups
    counts with equal weights that add up to 1. NaN for a user without history or list.

    Args:
        items: [n, K] the lists, -1 for empty places.
        member: [I, G], see `Groups`.
    """
    weights = member * (1 / np.maximum(member.sum(axis=1), 1))[:, None]
    history, listed = known.history() @ weights, places(items, known.train.num_items) @ weights
    kl, js = [], []
    for start in range(0, len(items), BLOCK):
        p, q = (_shares(part[start : start + BLOCK].toarray()) for part in (history, listed))
        kl.append(_divergence(p, (1 - ALPHA) * q + ALPHA * p))
        js.append((_divergence(p, (p + q) / 2) + _divergence(q, (p + q) / 2)) / 2)
    return {"kl": np.concatenate(kl), "js": np.concatenate(js)}


def _shares(counts: Values) -> Values:
    total = counts.sum(axis=1, keepdims=True)
    shares: Values = counts / np.where(total == 0, np.nan, total)
    return shares


def _divergence(p: Values, q: Values) -> Values:
    """Kullback-Leibler: sum over p > 0 of p log(p / q), where q > 0 too. NaN rows stay NaN."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    terms: Values = (p * np.log(ratio)).sum(axis=1)
    return terms
