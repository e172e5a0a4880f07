"""Joining a Ray cluster, or starting one on this machine."""

from __future__ import annotations

import functools
import logging
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from anchorrec_graph.cluster.nodes import check_nodes
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.extras import require_extra
from anchorrec_graph.text import first_line

KNOCK = 10.0  # seconds for a cluster to answer
SHORT = Path("/tmp")  # paths of sockets hold 107 letters at most


class Cluster(NamedTuple):
    """A connection to Ray."""

    cpus: int  # cores of each task, and its threads
    at_once: int  # tasks that run at the same time


@contextmanager
def connected(address: str, cpus: int = 1, at_once: int | None = None) -> Iterator[Cluster]:
    """Join a cluster, or start one on this machine, which ends with the context.

    A connection that this process has already is used, whatever the address.

    Args:
        address: `local` starts one; `auto` finds the one that this machine belongs to; or host:port.
        cpus: cores of each task.
        at_once: tasks at the same time; default as many as the machines have cores for.

    Raises:
        ConfigError: Ray is not installed, there is no such cluster, none of its machines has so many cores,
            or one has other versions of the packages.
    """
    require_extra("ray", "--ray", {"ray": "ray"})
    if "://" in address:
        raise ConfigError(f"--ray {address}: start the command on a machine of the cluster, with --ray auto")
    import ray

    with ExitStack() as stack:
        if not ray.is_initialized():
            stack.enter_context(started() if address == "local" else _joined(address))
        cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        if cpus > max(cores, default=0):
            raise ConfigError(f"--ray-cpus {cpus}: the largest machine has {max(cores, default=0)} cores")
        yield Cluster(cpus, at_once or sum(count // cpus for count in cores))


@contextmanager
def started(cores: int | None = None) -> Iterator[None]:
    """A cluster of this machine. Its logs, and what its tasks leave in temporary folders, go with it.

    Args:
        cores: that it has; default all.
    """
    import ray

    place = SHORT if SHORT.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="ray-", dir=place, ignore_cleanup_errors=True) as home:
        with _environment(_of_processes(home)):
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=home,
            )
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _joined(address: str) -> Iterator[None]:
    import ray

    try:
        if address != "auto":
            _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, AssertionError, ray.exceptions.RayError) as error:
        reason = first_line(error)
        raise ConfigError(
            f"--ray {address}: no cluster, or one with another token ({reason}); "
            "start one with ray start --head, or take --ray local"
        ) from error
    try:
        check_nodes()
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ray itself would try for minutes where nobody listens.

    Raises:
        OSError: nobody listens.
        ValueError: no address.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError("expected local, auto or HOST:PORT")
    socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()


def _of_processes(home: str) -> dict[str, str]:
    """What processes of a cluster inherit: they find the modules that this one finds, and report to nobody.

    They share a token, which Ray would otherwise write into the user's home.
    """
    modules = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    values = {"TMPDIR": home, "PYTHONPATH": modules, "RAY_USAGE_STATS_ENABLED": "0"}
    if not os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
        values["RAY_AUTH_TOKEN"] = _token()
    return values


@functools.cache
def _token() -> str:
    return secrets.token_hex(32)  # Ray reads one token in the life of a process


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*values, "RAY_AUTH_MODE")}  # which Ray sets
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
