"""Where a run was made: versions, machine, command, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from anchorrec_graph.train.ranks import num_processes

PACKAGES = ("anchorrec_graph", "torch", "torch-geometric", "numpy", "scipy", "networkx", "polars", "pydantic")
OPTIONAL = ("torch-scatter", "pyg-lib", "faiss-cpu", "matplotlib", "tensorboard")


def version(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment() -> dict[str, Any]:
    """Everything that a published number must say about where it comes from."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "commit": commit(),
        "processes": num_processes(),  # that train together
        "python": platform.python_version(),
        "packages": {name: version(name) for name in (*PACKAGES, *OPTIONAL)},
        "machine": {
            "system": platform.platform(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory_gib": memory_gib(),
        },
    }


def versions_of(environment: Mapping[str, Any]) -> str:
    """The versions that results hang on, on one line."""
    packages = environment["packages"]
    named = [f"{name} {packages[name]}" for name in ("anchorrec_graph", "torch", "torch-geometric", "numpy")]
    return ", ".join([f"Python {environment['python']}", *named])


def machine_of(environment: Mapping[str, Any]) -> str:
    """The machine on one line."""
    machine = environment["machine"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}"
    )


def commit() -> str | None:
    """The commit of the checkout that the package runs from, with `+` if files differ; None outside one."""
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Physical memory in GiB, where the system tells it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
