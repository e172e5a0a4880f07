"""The forecast for a shop of any size."""

from __future__ import annotations

from typing import Any

import pytest

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.train.plan import Shop, Stage, plan, read_shop, verdict


def shop(**values: Any) -> Shop:
    return Shop(**{"items": 1e6, "users": 1e6, "interactions": 1e7, **values})


def stages(**values: Any) -> dict[str, Stage]:
    return {stage.name: stage for stage in plan(shop(**values))}


def test_words_become_a_shop() -> None:
    found = read_shop(["items=1e8", "users=2e8", "interactions=1e10", "machines=4", "memory_gib=0.5"])
    assert (found.items, found.users, found.machines, found.memory_gib) == (1e8, 2e8, 4, 0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["items=1", "users=1"], "interactions: is missing"),
        (["items=1", "users=1", "interactions=1", "cores=1.5"], "cores: .*got 1.5"),
        (["items=-1", "users=1", "interactions=1"], "items: .*greater than 0, got -1"),
        (["items=nan", "users=1", "interactions=1"], "items: .*got nan"),
        (["items=inf", "users=1", "interactions=1"], "items: .*got inf"),
        (["itms=1"], "unknown key 'itms'.*did you mean 'items'"),
        (["items"], "'items': expected key=value"),
    ],
)
def test_wrong_words_are_named(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_shop(words)


def test_work_grows_with_what_it_is_made_of() -> None:
    one, ten = stages(memory_gib=1000), stages(memory_gib=1000, interactions=1e8)
    for name in ("prepare", "epoch"):
        assert ten[name].seconds == pytest.approx(10 * one[name].seconds)
    assert ten["item graphs"] == one["item graphs"]
    assert stages(items=4e6)["item graphs"].seconds == pytest.approx(4**1.4 * one["item graphs"].seconds)


def test_processes_share_the_epoch_as_far_as_memory_lets_them() -> None:
    one = stages(cores=1, memory_gib=1000)["epoch"]
    four = stages(cores=4, memory_gib=1000)["epoch"]
    assert four.seconds == pytest.approx(one.seconds / (4 * 0.8))
    assert "4 processes" in four.engine
    tight = stages(cores=4, memory_gib=1.5 * stages()["evaluation"].memory_gib)["epoch"]
    assert tight.seconds == pytest.approx(one.seconds)
    assert tight.engine.endswith("one process")


def test_processes_share_the_tables_but_not_the_evaluation() -> None:
    """Two million rows of 64 columns: weights, two moments and the best so far are 1.9 GiB."""
    one, four = stages(cores=1), stages(cores=1, machines=4)
    tables = 4 * 4 * 64 * 2e6 / 2**30
    assert one["epoch"].memory_gib - four["epoch"].memory_gib == pytest.approx(0.75 * tables)
    assert one["evaluation"].memory_gib - four["evaluation"].memory_gib == pytest.approx(0.5 * tables)


def test_the_verdict_names_what_does_not_fit() -> None:
    small, large = shop(items=1e4, users=1e4, interactions=1e5), shop(items=1e9)
    assert verdict(small, plan(small)) == "fits"
    assert verdict(large, plan(large)).startswith("item graphs needs ")
