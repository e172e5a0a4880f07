"""Models of transformers: any image model, and both towers of CLIP-like ones."""

from __future__ import annotations

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
from anchorrec_graph.encoders.text import quiet
from anchorrec_graph.encoders.weights import folder_hash, model_folder, ready
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.text import first_line

PACKAGES = ("transformers", "tokenizers", "torch")
SAFE = {"trust_remote_code": False, "local_files_only": True}


class TransformersImage(TorchImage):
    """CLIP-like models: the projected image features. Others: the last hidden state, pooled.

    Pooling: `mean` over tokens or positions, `first` token, or the model's own `pooler`.
    """

    name: Literal["transformers_image"] = "transformers_image"
    model: str  # a folder, or a name on the Hugging Face hub
    pooling: Literal["mean", "first", "pooler"] = "mean"
    packages: ClassVar[tuple[str, ...]] = (*PACKAGES, "pillow")
    neutral: ClassVar[frozenset[str]] = frozenset({"max_bytes", "max_pixels", "device", "model"})

    def load(self) -> None:
        folder = model_folder(self.model)
        self._model = ready(load_model(folder, pooler=self.pooling == "pooler"), self.device)
        # without torchvision, which the other backend needs
        processor = _load(folder, "AutoImageProcessor", backend="pil")
        self._transform = lambda picture: processor(images=picture, return_tensors="pt")["pixel_values"][0]
        self._identity = folder_hash(folder)

    def rows(self, pixels: Tensor) -> Tensor:
        if hasattr(self._model, "get_image_features"):
            return _pooled(self._model.get_image_features(pixel_values=pixels))
        return self._pool(self._model(pixel_values=pixels))

    def _pool(self, output: Any) -> Tensor:
        if self.pooling == "pooler":
            return _pooled(output)
        hidden: Tensor = output.last_hidden_state
        if hidden.ndim == 4:  # a feature map [n, d, h, w]
            hidden = hidden.flatten(2).transpose(1, 2)
        return hidden.mean(dim=1) if self.pooling == "mean" else hidden[:, 0]


class TransformersText(TextEncoder):
    """The projected text features of CLIP-like models; texts are cut to the model's length."""

    name: Literal["transformers_text"] = "transformers_text"
    model: str
    device: str = "cpu"
    packages: ClassVar[tuple[str, ...]] = PACKAGES
    neutral: ClassVar[frozenset[str]] = frozenset({"device", "model"})
    _model: Any = PrivateAttr(None)
    _tokenizer: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")

    def load(self) -> None:
        folder = model_folder(self.model)
        self._model = ready(load_model(folder, pooler=False), self.device)
        if not hasattr(self._model, "get_text_features"):
            raise ConfigError(f"{folder}: has no text tower; take the encoder sentence_transformers")
        self._tokenizer = _load(folder, "AutoTokenizer")
        self._identity = folder_hash(folder)

    def identity(self) -> str:
        return self._identity

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        length = self._model.config.text_config.max_position_embeddings
        inputs = self._tokenizer(
            list(batch), padding=True, truncation=True, max_length=length, return_tensors="pt"
        )
        with torch.inference_mode():
            return _pooled(self._model.get_text_features(**inputs.to(self.device))).float().cpu().numpy()


def load_model(folder: Path, pooler: bool) -> Any:
    """A model from safetensors only.

    Raises:
        ConfigError: transformers is missing, the folder is no such model, or some of its weights are not in
            the file: transformers would make them up. A missing pooler matters only where it is used.
    """
    model, info = _load(folder, "AutoModel", use_safetensors=True, output_loading_info=True)
    missing = sorted(name for name in info["missing_keys"] if pooler or "pooler" not in name)
    if missing:
        raise ConfigError(f"{folder}: the weights lack {missing[0]} ({len(missing)} missing in all)")
    return model


def _load(folder: Path, kind: str, **options: Any) -> Any:
    library = need("transformers", "transformers")
    quiet()
    try:
        return getattr(library, kind).from_pretrained(folder, **SAFE, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = first_line(error)
        raise ConfigError(f"{folder}: {kind} cannot be loaded by transformers ({reason})") from error


def _pooled(output: Any) -> Tensor:
    rows: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return rows.flatten(1)


for _encoder in (TransformersImage, TransformersText):
    ENCODERS.register(_encoder)(_encoder)
