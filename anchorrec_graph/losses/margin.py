"""AnchorRec's margin between a user's positive and negative item."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cosine_margin(user: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.2) -> Tensor:
    r""":math:`\frac1B \sum [m + (1 - \cos(\bar u, p)) - (1 - \cos(\bar u, n))]_+`, user side constant.

    Shapes: user, positive, negative [B, d] -> scalar.
    """
    user = user.detach()
    gap = functional.cosine_similarity(user, negative) - functional.cosine_similarity(user, positive)
    return functional.relu(margin + gap).mean()
