"""Image models of timm. timm needs a torchvision that imports beside the installed torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PrivateAttr
from torch import Tensor

from anchorrec_graph.encoders.base import ENCODERS, need
from anchorrec_graph.encoders.image import ImageEncoder
from anchorrec_graph.encoders.weights import ready, state_hash
from anchorrec_graph.errors import ConfigError


class Timm(ImageEncoder):
    """The pooled features before the classifier, with the model's own preprocessing."""

    name: Literal["timm"] = "timm"
    model: str  # timm's name, such as resnet50.a1_in1k, or a folder with config.json and weights
    device: str = "cpu"
    packages: ClassVar[tuple[str, ...]] = ("timm", "torchvision", "pillow", "torch")
    _model: Any = PrivateAttr(None)
    _transform: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")

    def load(self) -> None:
        timm, data = need("timm", "timm"), need("timm.data", "timm")
        name = f"local-dir:{self.model}" if Path(self.model).is_dir() else self.model
        try:
            model = timm.create_model(name, pretrained=True, num_classes=0)
        except Exception as error:  # timm raises the errors of the hub, of torch and its own
            reason = (str(error).splitlines() or [""])[0]
            raise ConfigError(f"timm model '{self.model}': cannot be loaded ({reason})") from error
        config = data.resolve_data_config({}, model=model)
        self._transform = data.create_transform(**config, is_training=False)
        self._identity = f"{state_hash(model)} {sorted(config.items())}"
        self._model = ready(model, self.device)

    def identity(self) -> str:
        return self._identity

    def prepare(self, picture: Any) -> Tensor:
        return self._transform(picture)  # type: ignore[no-any-return]  # the transform is untyped

    def encode(self, batch: Sequence[Tensor]) -> NDArray[np.float32]:
        pixels = torch.stack(list(batch))
        with torch.inference_mode():
            rows = self._model(pixels.to(self.device))
        return rows.float().cpu().numpy()  # type: ignore[no-any-return]  # the model is untyped


ENCODERS.register(Timm)(Timm)
