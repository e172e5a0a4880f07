"""The memory forecast, against the peak of real trainings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import tiny_config

from anchorrec_graph.config import load_config
from anchorrec_graph.train.memory import forecast

FACTOR = 1.25  # by which forecast and measured peak may differ
MIB = 2**20
BIG = [
    "dataset.num_users=4000", "dataset.num_items=4000", "dataset.image_dim=1024", "dataset.text_dim=384",
    "dataset.interactions_per_user=5", "train.batch_size=4096",
]  # fmt: skip
TRAIN = """
import sys, tempfile, warnings
warnings.simplefilter("ignore")
import anchorrec_graph as ag
from anchorrec_graph.compare.costs import peak_memory
config = ag.load_config(sys.argv[1], sys.argv[2:])
with tempfile.TemporaryDirectory() as folder:
    ag.fit(config, config.dataset.load(), folder + "/run")
print(peak_memory())
"""


@pytest.mark.filterwarnings("ignore::anchorrec_graph.data.checks.DataWarning")
@pytest.mark.parametrize(
    ("dataset", "overrides"),
    [("movielens", ["train.batch_size=8192"]), ("planted", BIG)],
    ids=["movielens", "big"],
)
def test_forecast_is_near_the_measured_peak(tmp_path: Path, dataset: str, overrides: list[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"dataset: {dataset}\nmodel: anchorrec\ntrain: {{epochs: 1}}\n")
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, path, *overrides], capture_output=True, text=True, env=one_thread
    )
    assert done.returncode == 0, done.stderr
    measured = int(done.stdout)
    config = load_config(path, overrides)
    total = forecast(config, config.dataset.load())["total"]
    assert measured / FACTOR < total < measured * FACTOR, (total // MIB, measured // MIB)


def test_parts_sum_to_the_total_and_grow(tmp_path: Path) -> None:
    def parts(*overrides: str) -> dict[str, int]:
        config = tiny_config(tmp_path, *overrides)
        return forecast(config, config.dataset.load())

    small = parts()
    assert sum(small.values()) == 2 * small["total"]
    wide = parts("model.embedding_dim=64")
    assert wide["weights, gradients, Adam"] == 8 * small["weights, gradients, Adam"]
    assert wide["training step or evaluation"] > small["training step or evaluation"]
    assert parts("evaluate.block_size=100000")["training step or evaluation"] >= 100_000 * 40 * 4
    assert parts("dataset.image_dim=4000")["data"] > small["data"] + 40 * 3900 * 4


def test_a_model_without_parameters_needs_no_step(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "model=popularity")
    assert forecast(config, config.dataset.load())["weights, gradients, Adam"] == 0
