"""What a measure gives for a space that knows nothing, and for one that keeps everything."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.graph.knn import unit_rows


def baseline_spaces(native: Tensor, dim: int, generator: torch.Generator) -> dict[str, Tensor]:
    """The spaces "random" [n, dim] and "oracle" [n, D] beside which any measure of a space can be read.

    "random" has independent standard normal entries, "oracle" is `native` itself. Items without a
    native feature (zero or not finite) are zero in the random space too, so that both measure the same items.

    Args:
        native: [n, D]; for a measure of position the other space, with dim = D.
    """
    random = torch.randn(len(native), dim, generator=generator)
    return {"random": random * unit_rows(native)[1][:, None], "oracle": native}
