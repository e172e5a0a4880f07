"""A learned filter over the frequencies of an embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpectralFilter(nn.Module):
    r""":math:`\mathrm{irfft}(w \odot H)`: rows of length d from their spectrum H, one weight a frequency.

    H is `torch.fft.rfft(rows, norm="ortho")` or a product of such spectra. The complex weights w start
    as standard normal, real and imaginary part (SMORE). The imaginary parts at frequency 0, and at the
    last one where d is even, do not count: the spectrum of a real row is real there.

    Shapes: complex [n, d // 2 + 1] -> [n, d].
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.weight = nn.Parameter(torch.randn(1, dim // 2 + 1, 2))

    def forward(self, spectrum: Tensor) -> Tensor:
        weight = torch.view_as_complex(self.weight)
        rows: Tensor = torch.fft.irfft(spectrum * weight, n=self.dim, norm="ortho")
        return rows
