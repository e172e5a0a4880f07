"""Tasks on a cluster of this machine: errors, lost processes, and what is refused."""

from __future__ import annotations

import importlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_tasks import at_the_same_time, die, double, fail, never_stops, process, temporary, wait_for_ever

from anchorrec_graph.cluster import nodes, tasks
from anchorrec_graph.cluster.connection import Cluster, connected
from anchorrec_graph.cluster.tasks import RETRIES, cause, completed, was_lost
from anchorrec_graph.errors import AnchorRecError, ConfigError, DataError


def values(*arguments: Any, **options: Any) -> dict[int, Any]:
    return {outcome.number: outcome.value for outcome in completed(*arguments, **options)}


def test_every_task_has_its_value(cluster: Cluster) -> None:
    assert values(cluster, double, [(n,) for n in range(7)]) == {n: 2 * n for n in range(7)}
    assert values(cluster, double, []) == {}


def test_no_more_at_once_than_allowed_and_arguments_are_taken_late(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    taken = list[int]()

    def arguments() -> Iterator[tuple[Any, ...]]:
        for number in range(6):
            taken.append(number)
            yield tmp_path / "running", number

    seen = []
    for outcome in completed(cluster, at_the_same_time, arguments()):
        seen.append(outcome.value)
        assert len(taken) <= len(seen) + 1
    assert cluster.at_once == 2
    assert 1 <= max(seen) <= 2
    one = values(cluster._replace(at_once=1), at_the_same_time, [(tmp_path / "running", n) for n in range(3)])
    assert one == {0: 1, 1: 1, 2: 1}


def test_fresh_processes(cluster: Cluster) -> None:
    assert len(set(values(cluster, process, [(n,) for n in range(4)], fresh=True).values())) == 4


def test_an_error_is_the_one_that_was_raised_and_others_go_on(cluster: Cluster) -> None:
    found = {o.number: o for o in completed(cluster, fail, [(0,), (1,), (5,)])}
    assert isinstance(found[0].error, ZeroDivisionError)
    assert isinstance(found[1].error, DataError)
    assert str(found[1].error) == "row 7: is odd"
    assert (found[2].value, found[2].error) == (2, None)


def test_a_class_that_only_this_process_knows(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("class Mine: ...")
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("only_here").Mine()
    (outcome,) = completed(cluster, double, [(mine,)])
    assert type(outcome.error) is AnchorRecError
    assert str(outcome.error) == (
        "a machine lacks a module of yours (No module named 'only_here'); install it on all of them"
    )


def test_a_lost_process_is_tried_again_but_not_for_ever(cluster: Cluster, tmp_path: Path) -> None:
    once, always = tmp_path / "once", tmp_path / "always"
    found = {o.number: o for o in completed(cluster, die, [(once, 1), (always, 10**6)])}
    assert (found[0].value, found[0].error) == (2, None)
    assert type(found[1].error) is AnchorRecError
    assert str(found[1].error).startswith("the process was killed, perhaps for want of memory")
    assert len(always.read_text().splitlines()) == 1 + RETRIES


def test_leaving_cancels_what_runs(cluster: Cluster, tmp_path: Path) -> None:
    paths = [(tmp_path / f"started{n}", tmp_path / f"stopped{n}") for n in range(2)]
    with pytest.raises(KeyboardInterrupt):
        next(completed(cluster._replace(at_once=3), wait_for_ever, itertools.chain(paths, _interrupt(paths))))
    assert all(stopped.exists() for _, stopped in paths)


def test_what_does_not_stop_is_ended(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PATIENCE", 0.5)
    paths = [(tmp_path / f"started{n}", tmp_path) for n in range(2)]
    with pytest.raises(KeyboardInterrupt):
        next(completed(cluster._replace(at_once=3), never_stops, itertools.chain(paths, _interrupt(paths))))
    assert values(cluster, double, [(1,), (2,)]) == {0: 2, 1: 4}  # which need the cores


def _interrupt(paths: Any) -> Iterator[tuple[Any, ...]]:
    """Ctrl-C once the tasks run."""
    while not all(started.exists() for started, _ in paths):
        time.sleep(0.01)
    raise KeyboardInterrupt
    yield ()


def test_too_many_cores(cluster: Cluster) -> None:
    with (
        pytest.raises(ConfigError, match="--ray-cpus 3: the largest machine has 2 cores"),
        connected("auto", 3),
    ):
        pass
    with connected("auto", 2) as wide:
        assert wide == Cluster(cpus=2, at_once=1)
    with connected("auto", at_once=5) as many:
        assert many.at_once == 5


def test_gpus_that_are_not_there(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="no machine of the cluster has a GPU"):
        values(cluster, double, [(1,)], gpus=1)


def test_machines_with_other_versions_are_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes.check_nodes()
    ours = nodes.version
    monkeypatch.setattr(nodes, "version", lambda name: "9.1" if name == "torch" else ours(name))
    with pytest.raises(ConfigError, match=r"machine \S+ has torch [\d.]+, this one 9\.1; install the same"):
        nodes.check_nodes()


def test_an_address_without_a_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def refused(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nMore lines")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(
        ConfigError, match=r"^--ray auto: no cluster, .* \(Could not find any .*\); start one"
    ):
        connected("auto").__enter__()


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1", "refused"), ("head", "expected local, auto or HOST:PORT"), ("a:b", "expected local")],
)
def test_an_address_at_which_nobody_listens(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConfigError, match=rf"^--ray {address}: no cluster, .*\(.*{reason}"):
        connected(address).__enter__()


def test_rays_client_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="start the command on a machine of the cluster"):
        connected("ray://head:10001").__enter__()


def test_ray_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'anchorrec_graph\[ray\]'"):
        connected("local").__enter__()


def test_want_of_memory_is_not_tried_again_and_named(cluster: Cluster) -> None:
    from ray import exceptions

    memory = exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.")
    assert not was_lost(memory)
    assert "a larger --ray-cpus puts fewer of them on a machine" in str(cause(memory))
    other = cause(exceptions.RuntimeEnvSetupError("no disk\nmore"))
    assert type(other) is AnchorRecError
    assert str(other).startswith("Ray: ")
    assert "more" not in str(other)


def test_temporary_files_of_workers_go_with_the_cluster(cluster: Cluster) -> None:
    (place,) = values(cluster, temporary, [()]).values()
    assert place is not None
    assert Path(place).name.startswith("ray-")
