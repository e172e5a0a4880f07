"""Whether the machines of a Ray cluster have the packages that this process has."""

from __future__ import annotations

from typing import Any

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.text import first_line
from anchorrec_graph.train.environment import version

SAME = ("anchorrec_graph", "torch", "torch-geometric", "numpy")  # other versions may give other numbers
WAIT = 120.0  # seconds for a machine to start a process and answer


def check_nodes() -> None:
    """
    Raises:
        ConfigError: naming a machine and the package that is missing there, or of another version.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked: dict[str, tuple[str, Any]] = {}  # by node: machines may share a name
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0):
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, scheduling_strategy=where)(_versions())
            asked[node["NodeID"]] = node["NodeManagerHostname"], task.remote(SAME)
    for machine, answer in asked.values():
        try:
            found = ray.get(answer, timeout=WAIT)
        except ray.exceptions.RayError as error:
            raise ConfigError(f"machine {machine} does not answer ({first_line(error)})") from error
        for package in SAME:
            ours, theirs = _public(version(package)), _public(found[package])
            if ours != theirs:
                raise ConfigError(
                    f"machine {machine} has {package} {theirs or 'not at all'}, this one {ours}; "
                    "install the same versions on all machines"
                )


def _public(number: str | None) -> str | None:
    """A version without its build, such as +cpu."""
    return number and number.partition("+")[0]


def _versions() -> Any:
    """A function that Ray sends as code, since a machine may lack this package."""

    def versions(packages: tuple[str, ...]) -> dict[str, str | None]:
        from importlib import metadata

        found: dict[str, str | None] = {}
        for package in packages:
            try:
                found[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                found[package] = None
        return found

    return versions
