"""Which machines of a cluster are asked for their packages. Ray is an imitation, which needs no Ray."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from anchorrec_graph.cluster import nodes
from anchorrec_graph.errors import ConfigError

Versions = dict[str, str | None]


def node(number: str, name: str, cores: float = 2.0, alive: bool = True) -> dict[str, Any]:
    return {"NodeID": number, "NodeManagerHostname": name, "Alive": alive, "Resources": {"CPU": cores}}


def imitate_ray(monkeypatch: pytest.MonkeyPatch, machines: list[dict[str, Any]], found: Versions) -> None:
    """A Ray whose node "old" has the versions `found`, and all others what this process has."""

    def remote(num_cpus: int, scheduling_strategy: str) -> Callable[..., Any]:
        def answer(packages: tuple[str, ...]) -> Versions:
            ours = {package: nodes.version(package) for package in packages}
            return ours | found if scheduling_strategy == "old" else ours

        return lambda _: SimpleNamespace(remote=answer)

    ray, strategies = ModuleType("ray"), ModuleType("ray.util.scheduling_strategies")
    parts = {
        "nodes": lambda: machines,
        "remote": remote,
        "get": lambda answer, timeout: answer,
        "exceptions": SimpleNamespace(RayError=OSError),
    }
    for name, part in parts.items():
        setattr(ray, name, part)
    strategies.NodeAffinitySchedulingStrategy = lambda node, soft: node  # type: ignore[attr-defined]
    modules = {"ray": ray, "ray.util": ModuleType("ray.util"), "ray.util.scheduling_strategies": strategies}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_machines_of_one_name_both_are_asked(monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    machines = [node("old", "worker"), node("new", "worker")][::order]
    imitate_ray(monkeypatch, machines, {"torch": "1.0+cpu"})
    with pytest.raises(ConfigError, match=r"^machine worker has torch 1\.0, this one [\d.]+; install the"):
        nodes.check_nodes()


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    imitate_ray(monkeypatch, [node("old", "worker")], {"torch-geometric": None})
    with pytest.raises(ConfigError, match=r"^machine worker has torch-geometric not at all, this one"):
        nodes.check_nodes()


def test_machines_that_run_nothing_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = [node("old", "gone", alive=False), node("old", "without cores", cores=0), node("new", "here")]
    imitate_ray(monkeypatch, machines, {"torch": "1.0"})
    nodes.check_nodes()
