"""Both towers of CLIP models of open_clip, which needs a torchvision that imports beside the torch.

The two modalities share one space: recipe `mean` of `encoders/joint.py` fuses them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PrivateAttr
from torch import Tensor

from anchorrec_graph.encoders.base import ENCODERS, TextEncoder, need
from anchorrec_graph.encoders.image import TorchImage
from anchorrec_graph.encoders.weights import ready, state_hash
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.text import first_line

PACKAGES = ("open_clip_torch", "timm", "torchvision", "torch")


class OpenClipImage(TorchImage):
    """Unit rows of the image tower, with the model's own preprocessing."""

    name: Literal["open_clip_image"] = "open_clip_image"
    model: str  # open_clip's name, such as ViT-B-32, or a folder with open_clip_config.json and weights
    pretrained: str | None = None  # the tag of the weights, such as laion2b_s34b_b79k; none for a folder
    packages: ClassVar[tuple[str, ...]] = (*PACKAGES, "pillow")

    def load(self) -> None:
        model, self._transform = load_clip(self.model, self.pretrained)
        steps = re.sub(r" at 0x\w+", "", str(self._transform))  # functions are shown with their address
        self._identity = f"{state_hash(model)} {steps}"
        self._model = ready(model, self.device)

    def rows(self, pixels: Tensor) -> Tensor:
        return self._model.encode_image(pixels, normalize=True)  # type: ignore[no-any-return]  # the model is untyped


class OpenClipText(TextEncoder):
    """Unit rows of the text tower; texts are cut to the model's context length."""

    name: Literal["open_clip_text"] = "open_clip_text"
    model: str
    pretrained: str | None = None
    device: str = "cpu"
    packages: ClassVar[tuple[str, ...]] = PACKAGES
    neutral: ClassVar[frozenset[str]] = frozenset({"device"})
    _model: Any = PrivateAttr(None)
    _tokenizer: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")

    def load(self) -> None:
        model, _ = load_clip(self.model, self.pretrained)
        self._tokenizer = need("open_clip", "open_clip_torch").get_tokenizer(clip_name(self.model))
        self._identity = state_hash(model)
        self._model = ready(model, self.device)

    def identity(self) -> str:
        return self._identity

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows = self._model.encode_text(self._tokenizer(list(batch)).to(self.device), normalize=True)
        return rows.float().cpu().numpy()  # type: ignore[no-any-return]  # the model is untyped


def clip_name(model: str) -> str:
    return f"local-dir:{model}" if Path(model).is_dir() else model


def load_clip(model: str, pretrained: str | None) -> tuple[Any, Any]:
    """The model and its preprocessing.

    Raises:
        ConfigError: open_clip is missing, or has no such model or weights.
    """
    library = need("open_clip", "open_clip_torch")
    try:
        found: tuple[Any, Any] = library.create_model_from_pretrained(clip_name(model), pretrained)
    except Exception as error:  # open_clip raises the errors of the hub, of torch and its own
        reason = first_line(error)
        raise ConfigError(
            f"open_clip model '{model}', weights {pretrained}: cannot be loaded ({reason})"
        ) from error
    return found


for _encoder in (OpenClipImage, OpenClipText):
    ENCODERS.register(_encoder)(_encoder)
