from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anchorrec_graph.encoders.onnx_model import OnnxImage
from anchorrec_graph.errors import ConfigError

pytest.importorskip("onnxruntime")

# made with onnx.helper: GlobalAveragePool and Flatten of any batch; Relu of one picture, a feature map
POOLED = (
    "CAg6ZQoZCgF4EgFwIhFHbG9iYWxBdmVyYWdlUG9vbAoPCgFwEgF5IgdGbGF0dGVuEgFnWh4KAXgSGQoXCAESEwoDEgFuCgIIAwoDEgFo"
    "CgMSAXdiFAoBeRIPCg0IARIJCgMSAW4KAggDQgQKABAN"
)
MAP = (
    "CAg6TwoMCgF4EgF5IgRSZWx1EgFnWh0KAXgSGAoWCAESEgoCCAEKAggDCgMSAWgKAxIBd2IdCgF5EhgKFggBEhIKAggBCgIIAwoDEgFo"
    "CgMSAXdCBAoAEA0="
)
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)


def load(folder: Path, model: str, **settings: Any) -> OnnxImage:
    (folder / "m.onnx").write_bytes(base64.b64decode(model))
    encoder = OnnxImage(file=folder / "m.onnx", size=6, mean=MEAN, std=STD, **settings)
    encoder.load()
    return encoder


@pytest.mark.parametrize("model", [POOLED, MAP])
def test_rows_are_those_of_the_normalised_pictures(tmp_path: Path, model: str) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in range(3)]
    encoder = load(tmp_path, model)
    rows = encoder.encode([encoder.prepare(Image.fromarray(picture)) for picture in pictures])
    for row, picture in zip(rows, pictures, strict=True):
        for channel in range(3):
            values = [(float(x) / 255 - MEAN[channel]) / STD[channel] for x in picture[:, :, channel].ravel()]
            if model == MAP:
                values = [max(value, 0) for value in values]
            assert row[channel] == pytest.approx(sum(values) / len(values), abs=1e-5)


def test_the_identity_is_the_files(tmp_path: Path) -> None:
    assert load(tmp_path, POOLED).identity() != load(tmp_path, MAP).identity()


def test_what_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"m\.onnx: no output 'z'; it has y"):
        load(tmp_path, POOLED, output="z")
    encoder = load(tmp_path, POOLED, channels="last")
    with pytest.raises(ConfigError, match="check -o size and -o channels"):
        encoder.encode([np.zeros((6, 6, 3), dtype=np.uint8)])
    (tmp_path / "m.onnx").write_bytes(b"no")
    with pytest.raises(ConfigError, match=r"m\.onnx: no ONNX model"):
        OnnxImage(file=tmp_path / "m.onnx").load()
    with pytest.raises(ConfigError, match=r"no\.onnx: cannot be read"):
        OnnxImage(file=tmp_path / "no.onnx").load()
