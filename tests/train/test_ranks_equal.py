"""N processes compute what one does: losses, weights, evaluation; and they stay equal to each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rank_work import (
    evaluation,
    exchanges,
    fails_on,
    graphs_of_a_model,
    item_graphs,
    nothing_to_cut,
    one_after_the_other,
    own_weights,
    poisoned,
    rows_on_disk,
    stalls,
    steps,
)
from rank_world import Group, all_well, together
from safetensors.torch import load_file
from tiny_runs import tiny_config

from anchorrec_graph.config import Config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.train.ranks import ALONE, Ranks

SAMPLED = "train.mode=sampled", "train.num_neighbors=[4, 2]", "model.loss={name: softmax, num_negatives: 8}"
SHARDED = ("sharded lightgcn", "sharded anchorrec")
WITHOUT_NOISE = ("lightgcn", "anchorrec", "vbpr", "lattice", "freedom", "mgcn", "alignrec", "damrs")
MODELS = (*WITHOUT_NOISE, "parts", "sampled lightgcn", "sampled anchorrec", *SHARDED)
PER_STEP = (4, 5)  # 5 is no multiple of 2 or 4
SIZES = (2, 4)


def config_of(folder: Path, model: str, *overrides: str) -> Config:
    mode, _, model = ("lightgcn" if model == "parts" else model).rpartition(" ")
    overrides = (*(SAMPLED if mode else ()), *overrides)
    overrides = (*overrides, *(("train.shard_tables=true",) if mode == "sharded" else ()))
    settings = f"model={{name: {model}, embedding_dim: 8}}", "train.batch_size=40", "train.epochs=2"
    return tiny_config(folder, *settings, *overrides)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every model with every number of batches per step, by 1, 2 and 4 processes."""
    folder = tmp_path_factory.mktemp("trained")
    cases = {
        f"{model}-{n}": config_of(folder, model, f"train.batches_per_step={n}")
        for model in MODELS
        for n in PER_STEP
    }
    for size in (1, *SIZES):
        all_well(together(folder / str(size), size, steps, cases, folder))
    return folder


def found(folder: Path, model: str, n: int, size: int, rank: int) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / f"{model}-{n}-{size}-{rank}.json").read_text())
    return result


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", PER_STEP)
@pytest.mark.parametrize("model", MODELS)
def test_the_losses_of_one_process(trained: Path, model: str, n: int, size: int) -> None:
    one, many = (found(trained, model, n, of, 0) for of in (1, size))
    assert len(many["steps"]) == len(one["steps"]) == 2 * -(-9 // n)  # 9 batches, so the last step is shorter
    for several, alone in zip(many["steps"], one["steps"], strict=True):
        assert several == pytest.approx(alone, rel=1e-5, abs=1e-7)
    for several, alone in zip(many["epochs"], one["epochs"], strict=True):
        assert several["loss"] == pytest.approx(alone["loss"], rel=1e-5)
        assert several["terms"] == pytest.approx(alone["terms"], rel=1e-5, abs=1e-7)
    assert many["adam"] == one["adam"]  # what no batch reaches has no state
    weights = [load_file(trained / f"{model}-{n}-{of}.safetensors") for of in (size, 1)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", PER_STEP)
@pytest.mark.parametrize("model", MODELS)
def test_all_processes_hold_the_same_bits(trained: Path, model: str, n: int, size: int) -> None:
    first, *others = (found(trained, model, n, size, rank) for rank in range(size))
    assert all(other == first for other in others)
    assert len(set(first["digests"])) == 2  # and they are trained


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", SHARDED)
def test_every_process_holds_its_rows_only(trained: Path, model: str, size: int) -> None:
    """60 users and 40 items; the moments of Adam lie with them."""
    held = [json.loads((trained / f"{model}-4-{size}-{rank}.rows").read_text()) for rank in range(size)]
    assert held == [[60 // size, 40 // size]] * size


def test_the_parts_are_what_they_are_for(trained: Path) -> None:
    """Some steps have the rare term and some do not; one parameter of four has no gradient."""
    for n in PER_STEP:
        alone = found(trained, "parts", n, 1, 0)
        assert any("rare" in terms for terms in alone["steps"])
        assert alone["adam"] == 3


@pytest.mark.parametrize("size", SIZES)
def test_evaluation_is_split_and_equal_to_the_last_bit(tmp_path: Path, size: int) -> None:
    config = config_of(tmp_path, "lightgcn", "evaluate.block_size=7")
    all_well(together(tmp_path, size, evaluation, config, tmp_path))
    scored = [int((tmp_path / f"scored-{size}-{rank}").read_text()) for rank in range(size)]
    assert min(scored) >= 7
    assert max(scored) <= 60 / size + 7


def test_fewer_blocks_than_processes(tmp_path: Path) -> None:
    config = config_of(tmp_path, "lightgcn", "evaluate.block_size=256")
    all_well(together(tmp_path, 2, evaluation, config, tmp_path))
    assert sorted((tmp_path / f"scored-2-{rank}").read_text() == "0" for rank in range(2)) == [False, True]


@pytest.mark.parametrize("size", [1, 3])
def test_exchanges(tmp_path: Path, size: int) -> None:
    if size > 1:
        all_well(together(tmp_path, size, exchanges))
    assert ALONE.gather({1: "not JSON's key"}) == [{1: "not JSON's key"}]
    ALONE.check_equal("nothing", lambda: pytest.fail("computed for nothing"))


def test_the_first_fills_the_cache_for_the_others(tmp_path: Path) -> None:
    all_well(together(tmp_path, 3, one_after_the_other, tmp_path))


def test_rows_on_disk_are_made_by_the_first(tmp_path: Path) -> None:
    """Also the pooled ones, which are made for the training and not with the model."""
    model = "model={name: anchorrec, embedding_dim: 8, feature_dim: 6, features_on_disk: true}"
    overrides = *SAMPLED, "train.batches_per_step=2", "train.epochs=1"
    config = tiny_config(tmp_path, model, *overrides)
    all_well(together(tmp_path, 2, rows_on_disk, config, tmp_path))
    (made, read), (made_again, read_too) = (
        json.loads((tmp_path / f"rows-{rank}").read_text()) for rank in range(2)
    )
    assert "pooled" in made
    assert made == read == read_too
    assert made_again == []


def test_a_model_without_a_table_to_cut(tmp_path: Path) -> None:
    ended = together(tmp_path, 2, nothing_to_cut)
    message = "ConfigError: train.shard_tables cuts an nn.Embedding 'user' or 'item' of a model, and Bilinear"
    assert [message in rank.err for rank in ended].count(True) == 1
    assert all(rank.code for rank in ended)


@pytest.mark.parametrize("size", [2, 3])
def test_item_graphs_are_made_together(tmp_path: Path, size: int) -> None:
    pytest.importorskip("faiss")
    all_well(together(tmp_path, size, item_graphs))


def test_a_cache_that_only_one_process_has(tmp_path: Path) -> None:
    all_well(together(tmp_path, 2, graphs_of_a_model, config_of(tmp_path, "anchorrec"), tmp_path))


def test_a_loss_that_is_no_number_stops_all(tmp_path: Path) -> None:
    all_well(together(tmp_path, 2, poisoned, config_of(tmp_path, "parts"), tmp_path))
    messages = {(tmp_path / f"error-{rank}").read_text() for rank in range(2)}
    (message,) = messages
    assert message.startswith("epoch 1: loss term 'gap' is nan; lower")


def test_weights_that_differ_are_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path, "lightgcn", "train.batches_per_step=2")
    ended = together(tmp_path, 2, own_weights, config)
    message = "the weights differ between the 2 processes; train with one"
    assert sum(message in rank.err for rank in ended) == 1
    assert all(rank.code for rank in ended)


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_one_ends_all_with_its_message_only(tmp_path: Path, failing: int) -> None:
    ended = together(tmp_path, 2, fails_on, failing)
    assert f"row 3 is bad, says rank {failing}" in ended[failing].err
    assert ended[1 - failing].err == ""
    assert all(rank.code not in (0, -9) for rank in ended)


def test_one_that_does_not_answer_in_time(tmp_path: Path) -> None:
    first, last = Group(tmp_path, 2, stalls, 1.0).join()
    assert "another process of this training ended or does not answer" in first.err
    assert first.code == 70
    assert (last.code, last.err) == (5, "")


@given(size=st.integers(1, 9), count=st.integers(0, 300), block=st.integers(1, 40))
def test_rows_are_whole_blocks_that_cover_all(size: int, count: int, block: int) -> None:
    parts = [Ranks(rank, size).rows(count, block) for rank in range(size)]
    covered = [row for part in parts for row in range(count)[part]]
    assert covered == list(range(count))
    assert all(part.start % block == 0 or part.start == count for part in parts)
    blocks = [-(-(part.stop - part.start) // block) for part in parts]
    assert max(blocks) - min(blocks) <= 1


@given(size=st.integers(1, 9), batches=st.lists(st.integers(), max_size=20))
def test_every_batch_has_one_owner(size: int, batches: list[int]) -> None:
    for rank in range(size):
        mine = Ranks(rank, size).part(batches)
        assert list(mine) == [batch for j, batch in enumerate(batches) if j % size == rank]


def test_more_processes_than_batches_are_refused() -> None:
    Ranks(0, 4).check_batches(4)
    with pytest.raises(ConfigError, match=r"train.batches_per_step is 3: 4 processes .* raise it to 4"):
        Ranks(1, 4).check_batches(3)
