"""A table of native features, frozen or trainable."""

from __future__ import annotations

from torch import Tensor, nn

from anchorrec_graph.data.features import widened


class FeatureTable(nn.Module):
    """Feature rows [n, D]. Frozen rows are derived from data, so they are not part of the state dict.

    Frozen half floats, also of a memory map, are widened to float32 where they are read.
    """

    rows: Tensor

    def __init__(self, rows: Tensor, trainable: bool) -> None:
        super().__init__()
        if trainable:
            self.rows = nn.Parameter(rows.clone())
        else:
            self.register_buffer("rows", rows, persistent=False)

    def forward(self, ids: Tensor | None = None) -> Tensor:
        """The rows that `ids` names, [n, D]; None: all."""
        return widened(self.rows if ids is None else self.rows[ids])
