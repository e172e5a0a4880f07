"""DA-MRS: feedback counts by how far a user's tastes in the views of the item bear it out."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def feedback_weights(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    r"""How much each triple counts as it is, and how much with positive and negative swapped.

    With :math:`a_v = \sigma(positive_v)`, and :math:`\bar n` the mean of :math:`\sigma(negative)` over
    the batch and all views,

    .. math::
        w^+ = \operatorname{mean}_v(a_v) \exp(-\operatorname{var}_v(a_v))^2, \quad
        w^- = [\operatorname{mean}_v(a_v) < \bar n] \, [\max_v a_v - \bar n]_+ .

    var is the unbiased variance. Both are constants in [0, 1].

    Shapes: scores of a user's positive and negative item in V >= 2 views, [V, B] -> [B], [B].
    """
    positive, threshold = positive.detach().sigmoid(), negative.detach().sigmoid().mean()
    mean = positive.mean(0)
    trusted = mean * (-2 * positive.var(0)).exp()
    doubted = (positive.amax(0) - threshold).clamp(min=0) * (mean < threshold)
    return trusted, doubted


def denoised_bpr(gap: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
    r"""BPR of each triple and of its swap, weighted by (w+, w-), see `feedback_weights`:

    .. math:: -\frac1B \sum w^+ \log \sigma(g) + w^- \log \sigma(-g)

    with the positive item's score above the negative one's, g (`ranking.score_gap`).

    Shapes: gap [B], weights [B] each -> scalar.
    """
    trusted, doubted = weights
    return -(trusted * functional.logsigmoid(gap) + doubted * functional.logsigmoid(-gap)).mean()
