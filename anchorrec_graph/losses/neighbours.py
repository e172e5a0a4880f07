"""DA-MRS: views of the items agree on who an item's neighbours are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.losses.blockwise import blockwise_sum
from anchorrec_graph.topk import row_topk


def neighbour_discrimination(
    views: list[Tensor], items: Tensor, num_neighbours: int, temperature: float, block_size: int = 256
) -> Tensor:
    r"""For each of `items` and each view v, two sets of neighbours are pulled closer than all other items.

    .. math::
        p^v_{ij} &= \mathrm{softmax}_j \cos(h^v_i, h^v_j), \quad
        M^v_i = \mathrm{top}_K (p^v_i + \textstyle\sum_w p^w_i), \quad
        S^v_i = \mathrm{top}_K (p^v_i \text{ outside } M^v_i) \\
        e^v_{ij} &= \exp(\cos(h^v_i, h^v_j)/\tau), \quad
        L = -\operatorname{mean}_{i, v} \left[ \log \frac{\sum_{M} e^v_{ij}}{\sum_j e^v_{ij}}
        + \log \frac{\sum_{S} e^v_{ij}}{\sum_{j \notin M} e^v_{ij}} \right]

    j runs over all I items, i itself included: M are neighbours that the views agree on, S those of v
    alone. The sets are constants. K is at most I / 2. Time is O(b I d), memory O(block_size I).

    Shapes: each view [I, d], items [b] -> scalar.
    """
    units = [functional.normalize(view, dim=1) for view in views]
    size = min(num_neighbours, len(units[0]) // 2)

    def loss(block: Tensor, *units: Tensor) -> Tensor:
        logits = [(unit[block] / temperature) @ unit.T for unit in units]
        with torch.no_grad():
            labels = [(x * temperature).softmax(1) for x in logits]
            shared = torch.stack(labels).sum(0)
        agreed = [row_topk(label.add_(shared), size)[1] for label in labels]
        return torch.stack([_two_sets(x, near) for x, near in zip(logits, agreed, strict=True)]).sum()

    return blockwise_sum(loss, items.split(block_size), *units) / (len(items) * len(views))


def _two_sets(logits: Tensor, agreed: Tensor) -> Tensor:
    """Both terms, summed over the rows of logits [b, I]."""
    near = logits.gather(1, agreed).logsumexp(1)
    others = logits.scatter(1, agreed, -torch.inf)
    own = row_topk(others.detach(), agreed.shape[1])[1]
    largest = others.detach().gather(1, own[:, :1])
    # written out, because the backward of logsumexp takes all exponentials again
    rest = (others - largest).exp_().sum(1).log() + largest.squeeze(1)
    alone = others.gather(1, own).logsumexp(1)
    return (torch.logaddexp(near, rest) - near + rest - alone).sum()
