"""Where weights come from, and hashes that identify them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from anchorrec_graph.data.manifest import content_hash, file_hash, json_hash
from anchorrec_graph.encoders.base import need
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.text import first_line

UNSAFE = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.py")


def model_folder(model: str) -> Path:
    """The folder of a model: `model` itself if it is one, else the Hugging Face hub's files of that name.

    Files that need unpickling, and code, are not fetched.

    Raises:
        ConfigError: neither a folder nor a model that the hub gives.
    """
    if Path(model).is_dir():
        return Path(model)
    hub = need("huggingface_hub", "huggingface_hub")
    try:
        return Path(hub.snapshot_download(model, ignore_patterns=list(UNSAFE)))
    except Exception as error:  # the hub client raises its own, httpx's and the system's errors
        reason = first_line(error)
        raise ConfigError(
            f"model '{model}': no such folder, and the hub gave none ({type(error).__name__}: {reason}); "
            "give the path of a local folder"
        ) from error


def folder_hash(folder: Path) -> str:
    """SHA-256 (hex) over the names and contents of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return json_hash({str(path.relative_to(folder)): weights_hash(path) for path in files})


def weights_hash(path: Path) -> str:
    """SHA-256 (hex) of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return file_hash(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error


def state_hash(model: nn.Module) -> str:
    """SHA-256 (hex) over the names and values of a model's parameters and buffers."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    return json_hash({name: content_hash(_as_known(value)) for name, value in state.items()})


def _as_known(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.dtype == torch.bfloat16 else value  # numpy has no bfloat16


def ready(model: Any, device: str) -> Any:
    """The module on its device, for inference.

    Raises:
        ConfigError: there is no such device.
    """
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device '{device}': {first_line(error)}; take cpu") from error
