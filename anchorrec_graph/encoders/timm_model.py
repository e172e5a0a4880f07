"""Image models of timm. timm needs a torchvision that imports beside the installed torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor

from anchorrec_graph.encoders.base import ENCODERS, need
from anchorrec_graph.encoders.image import TorchImage
from anchorrec_graph.encoders.weights import ready, state_hash
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.text import first_line


class Timm(TorchImage):
    """The pooled features before the classifier, with the model's own preprocessing."""

    name: Literal["timm"] = "timm"
    model: str  # timm's name, such as resnet50.a1_in1k, or a folder with config.json and weights
    packages: ClassVar[tuple[str, ...]] = ("timm", "torchvision", "pillow", "torch")

    def load(self) -> None:
        timm, data = need("timm", "timm"), need("timm.data", "timm")
        name = f"local-dir:{self.model}" if Path(self.model).is_dir() else self.model
        try:
            model = timm.create_model(name, pretrained=True, num_classes=0)
        except Exception as error:  # timm raises the errors of the hub, of torch and its own
            reason = first_line(error)
            raise ConfigError(f"timm model '{self.model}': cannot be loaded ({reason})") from error
        config = data.resolve_data_config({}, model=model)
        self._transform = data.create_transform(**config, is_training=False)
        self._identity = f"{state_hash(model)} {sorted(config.items())}"
        self._model = ready(model, self.device)

    def rows(self, pixels: Tensor) -> Tensor:
        return self._model(pixels)  # type: ignore[no-any-return]  # the model is untyped


ENCODERS.register(Timm)(Timm)
