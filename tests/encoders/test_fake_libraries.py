"""timm and open_clip need a torchvision that fits the CPU torch, which PyPI has not: fakes stand in."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from anchorrec_graph.encoders.base import need
from anchorrec_graph.encoders.open_clip_model import OpenClipImage, OpenClipText
from anchorrec_graph.encoders.timm_model import Timm
from anchorrec_graph.errors import ConfigError

PICTURES = [Image.new("RGB", (4, 4), (value, 0, 0)) for value in (10, 20)]


def channels(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1)


class Pool(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, pixels: Tensor) -> Tensor:
        assert not self.training
        return pixels.mean(dim=(2, 3)) * self.scale

    def encode_image(self, pixels: Tensor, normalize: bool) -> Tensor:
        rows = self(pixels)
        return nn.functional.normalize(rows, dim=1) if normalize else rows

    def encode_text(self, tokens: Tensor, normalize: bool) -> Tensor:
        assert normalize
        return nn.functional.normalize(tokens.float(), dim=1)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Fake libraries; what they were asked for."""
    asked: list[Any] = []

    def create_model(name: str, pretrained: bool, num_classes: int) -> Pool:
        asked.append((name, pretrained, num_classes))
        if name == "nothing":
            raise RuntimeError("Unknown model\nsecond line")
        return Pool(3.0 if name == "other" else 2.0)

    def create_model_from_pretrained(name: str, pretrained: str | None) -> tuple[Pool, Any]:
        asked.append((name, pretrained))
        if name == "nothing":
            raise RuntimeError("no weights")
        return Pool(2.0), channels

    data = SimpleNamespace(
        resolve_data_config=lambda args, model: {"mean": 0.5},
        create_transform=lambda mean, is_training: channels,
    )

    def tokenizer(name: str) -> Any:
        return lambda texts: torch.tensor([[len(text), 1] for text in texts])

    clip = SimpleNamespace(create_model_from_pretrained=create_model_from_pretrained, get_tokenizer=tokenizer)
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    monkeypatch.setitem(sys.modules, "timm.data", data)
    monkeypatch.setitem(sys.modules, "open_clip", clip)
    return asked


def test_timm_by_name_and_by_folder(asked: list[Any], tmp_path: Path) -> None:
    encoder = Timm(model="net")
    encoder.load()
    rows = encoder.encode([encoder.prepare(picture) for picture in PICTURES])
    assert rows.tolist() == [[20, 0, 0], [40, 0, 0]]
    Timm(model=str(tmp_path)).load()
    assert asked == [("net", True, 0), (f"local-dir:{tmp_path}", True, 0)]
    other = Timm(model="other")
    other.load()
    assert other.identity() != encoder.identity()
    with pytest.raises(ConfigError, match=r"timm model 'nothing': cannot be loaded \(Unknown model\)"):
        Timm(model="nothing").load()


def test_both_towers_of_open_clip(asked: list[Any], tmp_path: Path) -> None:
    image = OpenClipImage(model="ViT", pretrained="tag")
    image.load()
    assert image.encode([image.prepare(picture) for picture in PICTURES]).tolist() == [[1, 0, 0], [1, 0, 0]]
    assert " at 0x" not in image.identity()  # it would be another one in every process
    text = OpenClipText(model=str(tmp_path))
    text.load()
    np.testing.assert_allclose(text.encode(["abc"]), [[3 / 10**0.5, 1 / 10**0.5]], rtol=1e-6)
    assert asked == [("ViT", "tag"), (f"local-dir:{tmp_path}", None)]
    with pytest.raises(ConfigError, match="open_clip model 'nothing', weights None: cannot be loaded"):
        OpenClipText(model="nothing").load()


def test_a_library_that_is_missing_or_does_not_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"needs no_such_library .*; pip install no-such-library"):
        need("no_such_library", "no-such-library")
    (tmp_path / "broken_library.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"installed but does not import .*nms.*fits the installed torch"):
        need("broken_library", "broken-library")
