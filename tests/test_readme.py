"""The README's blocks run as a reader would run them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """Every `anchorrec` command of the bash blocks, comments left out."""
    lines = [line.partition("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("anchorrec")]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the checkout's configurations and shipped data, where runs may be written."""
    for name in ("configs", "anchorrec_graph"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_is_short() -> None:
    assert len(README.splitlines()) < 200


def test_python_blocks_run_in_order(checkout: Path) -> None:
    assert len(blocks("python")) >= 4
    script = checkout / "readme.py"
    script.write_text("\n".join(blocks("python")), encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    recalls = [float(line) for line in done.stdout.splitlines() if re.fullmatch(r"0\.\d+", line)]
    assert len(recalls) == 2
    assert all(0.1 < recall < 0.6 for recall in recalls)


def test_commands_run_in_order(checkout: Path) -> None:
    assert len(commands()) >= 8
    write_mmrec_folder(checkout / "own")
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands():
        arguments = shlex.split(command.replace("PATH", str(checkout / "own")))
        if arguments[1] == "serve":
            check_serves([*arguments, "--port", str(free_port())], {**os.environ, "PATH": search})
            continue
        done = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, "PATH": search})
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert "warning" not in done.stderr, done.stderr
    assert (checkout / "runs/films/top10.parquet").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_serves(arguments: list[str], environment: dict[str, str]) -> None:
    """The command answers, and ends on a signal without an error."""
    server = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        for _ in range(600):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{arguments[-1]}/health", timeout=5) as answer,
            ):
                assert json.load(answer)["status"] == "ok"
                break
            assert server.poll() is None
            time.sleep(0.1)
        else:
            pytest.fail("no answer within a minute")
    finally:
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert "Traceback" not in errors, errors
    assert server.returncode in (0, 143, -15), errors


def test_gat_is_under_25_lines() -> None:
    (block,) = (block for block in blocks("python") if "class GAT(" in block)
    definition = block[: block.index("config = ")]
    assert len([line for line in definition.splitlines() if line.strip()]) < 25


def write_mmrec_folder(folder: Path) -> None:
    """30 users who each know 12 of 40 items, with two modalities."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    pairs = [(user, item) for user in range(30) for item in rng.choice(40, 12, replace=False)]
    pairs += [(0, item) for item in range(40) if (0, item) not in set(pairs)][:20]
    rows = "".join(f"{user}\t{item}\n" for user, item in pairs)
    (folder / "own.inter").write_text("userID\titemID\n" + rows, encoding="utf-8")
    for modality, dim in (("image", 24), ("text", 16)):
        np.save(folder / f"{modality}_feat.npy", rng.standard_normal((40, dim)).astype(np.float32))
