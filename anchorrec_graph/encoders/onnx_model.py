"""Any ONNX image model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt, PrivateAttr

from anchorrec_graph.encoders.base import ENCODERS, need
from anchorrec_graph.encoders.image import ImageEncoder, squashed
from anchorrec_graph.encoders.weights import weights_hash
from anchorrec_graph.errors import ConfigError

Three = tuple[float, float, float]


class OnnxImage(ImageEncoder):
    """Pictures squashed to size x size (bicubic) enter as (x / 255 - mean) / std, by channel.

    The output is [n, d], or a feature map [n, d, h, w], of which the global average is taken.
    """

    name: Literal["onnx"] = "onnx"
    file: Path
    size: PositiveInt = 224
    mean: Three = (0.485, 0.456, 0.406)  # of ImageNet
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.229, 0.224, 0.225)
    channels: Literal["first", "last"] = "first"
    output: str | None = None  # the name of an output; None: the first
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "pillow")
    neutral: ClassVar[frozenset[str]] = frozenset({"file", "max_bytes", "max_pixels"})
    _session: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")

    def load(self) -> None:
        self._identity = weights_hash(self.file)
        runtime = need("onnxruntime", "onnxruntime")
        try:
            self._session = runtime.InferenceSession(str(self.file), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes are not public
            raise ConfigError(f"{self.file}: no ONNX model that onnxruntime can load ({error})") from error
        outputs = [entry.name for entry in self._session.get_outputs()]
        if self.output is not None and self.output not in outputs:
            raise ConfigError(f"{self.file}: no output '{self.output}'; it has {', '.join(outputs)}")

    def identity(self) -> str:
        return self._identity

    def prepare(self, picture: Any) -> NDArray[np.uint8]:
        return squashed(picture, self.size)

    def encode(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        mean, std = (np.array(value, dtype=np.float32) for value in (self.mean, self.std))
        pixels = np.asarray((np.stack(batch) / np.float32(255) - mean) / std, dtype=np.float32)
        if self.channels == "first":
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        (entry,) = self._session.get_inputs()[:1]
        any_number = isinstance(entry.shape[0], str | None)
        step = len(pixels) if any_number else 1
        rows = [self._run(entry.name, pixels[i : i + step]) for i in range(0, len(pixels), step)]
        return np.concatenate(rows)

    def _run(self, name: str, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            out = self._session.run(None if self.output is None else [self.output], {name: pixels})[0]
        except Exception as error:
            raise ConfigError(
                f"{self.file}: the model does not take float32 {list(pixels.shape)} ({error}); "
                "check -o size and -o channels"
            ) from error
        rows = np.asarray(out, dtype=np.float32)
        return rows.mean(axis=(2, 3)) if rows.ndim == 4 else rows


ENCODERS.register(OnnxImage)(OnnxImage)
