"""How fast `anchorrec serve` answers, on a catalog of random rows, asked over loopback by this process.

    python benchmarks/serve.py [--items 100000 --users 100000] [--workers 1 2] [--out results.json]

For each number of workers: 100 rankings against ones that are computed here without any code that serves; one
user's recommendations at a fixed rate (times count from when a request was due); as many as are answered on 1
to 16 connections; every other kind of request, one after the other. Then, with one worker, a switch to
another export under the same rate, and one during which the server is killed and started again.

The generator runs on the same cores as the server, and its own work is part of every time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from load import Answer, Client, at_rate, flat_out, get, post, summary
from serve_world import Running, Size, best_items, read_log, server, write_exports

from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.train.environment import environment

CHECKED = 100  # rankings that are compared
CONNECTIONS = (1, 2, 4, 8, 16)
SOME = 100  # requests of each other kind
WARM = 50  # requests before anything is timed


def recommend(size: Size) -> Any:
    """A recommendation for a random user."""
    draw = random.Random(0)
    return lambda _: post("/api/recommend", {"user": f"u{draw.randrange(size.users)}", "k": 20})


def others(size: Size) -> dict[str, Any]:
    """The other kinds of request, of random users and items."""
    draw = random.Random(1)

    def item() -> str:
        return f"i{draw.randrange(size.items)}"

    def user() -> str:
        return f"u{draw.randrange(size.users)}"

    return {
        "recommend, 20 items known": lambda _: post(
            "/api/recommend", {"history": [item() for _ in range(20)]}
        ),
        "recommend, weights": lambda _: post("/api/recommend", {"user": user(), "weights": {"image": 1.5}}),
        "recommend, filter": lambda _: post(
            "/api/recommend", {"user": user(), "filters": {"genres": "Crime"}}
        ),
        "similar, final": lambda _: post("/api/similar", {"item": item()}),
        "similar, image": lambda _: post("/api/similar", {"item": item(), "by": "image"}),
        "similar, mixed, across genres": lambda _: post(
            "/api/similar", {"item": item(), "by": {"image": 0.6, "text": 0.4}, "across": "genres"}
        ),
        "explain": lambda _: post("/api/explain", {"user": user(), "item": item()}),
        "search": lambda _: get(f"/api/items?q=item+{draw.randrange(1000)}"),
        "card": lambda _: get(f"/api/items/{item()}"),
        "health": lambda _: get("/health"),
    }


async def identical(client: Client, contents: Contents, size: Size, count: int = CHECKED) -> int:
    """How many users get the ranking that is computed here."""
    draw, same = random.Random(2), 0
    for _ in range(count):
        user = draw.randrange(size.users)
        answer = await client.ask(post("/api/recommend", {"user": f"u{user}", "k": 20}))
        found = [card["item_id"] for card in json.loads(answer.body)["items"]]
        same += found == best_items(contents, user, 20)
    return same


async def measure(
    running: Running, contents: Contents, size: Size, rate: float, seconds: float
) -> dict[str, Any]:
    client, make = Client(running.host, running.port), recommend(size)
    for _ in range(WARM):
        await client.ask(make(0))
    result: dict[str, Any] = {"start_s": round(running.seconds, 2)}
    result["memory_mib_before"] = await memory(client)
    result["identical"] = f"{await identical(client, contents, size)} of {CHECKED}"
    result["at_rate"] = {"rate": rate, **summary(await at_rate(client, make, rate, seconds))}
    result["flat_out"] = []
    for connections in CONNECTIONS:
        speed, answers = await flat_out(client, make, connections, seconds / 6)
        line = {"connections": connections, "per_second": round(speed, 1), **summary(answers)}
        result["flat_out"].append(line)
    result["one_by_one"] = {}
    for name, kind in others(size).items():
        await client.ask(kind(0))  # the first may build what all use
        result["one_by_one"][name] = summary([await client.ask(kind(number)) for number in range(SOME)])
    result["memory_mib_after"] = await memory(client)
    await client.close()
    return result


async def memory(client: Client) -> list[int]:
    """Resident MiB of each worker."""
    text = (await client.ask(get("/metrics"))).body.decode()
    lines = (line for line in text.splitlines() if line.startswith("process_resident_memory_bytes{"))
    return [round(float(line.rpartition(" ")[2]) / 2**20) for line in lines]


async def switch(running: Running, link: Path, target: Path, size: Size, rate: float) -> dict[str, Any]:
    """Requests at a rate before, during and after the switch to another export."""
    client, make = Client(running.host, running.port), recommend(size)
    before = await at_rate(client, make, rate, 2)
    point(link, target)
    during = list[Answer]()
    deadline = time.monotonic() + 300
    while not any(event["event"] == "switched" for event in read_log(running.log)):
        during += await at_rate(client, make, rate, 1)
        if time.monotonic() > deadline:
            raise SystemExit("error: the server never switched")
    after = await at_rate(client, make, rate, 2)
    await client.close()
    parts = (("before", before), ("during", during), ("after", after))
    return {name: summary(answers) for name, answers in parts if answers}


def killed_during_a_switch(link: Path, target: Path) -> dict[str, Any]:
    """SIGKILL while a newer export is being loaded; then the same command again on the same port."""
    with server(link) as running:
        point(link, target)
        time.sleep(1.5)  # between the look that sees it and the end of loading, for a large catalog
        switched = any(event["event"] == "switched" for event in read_log(running.log))
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    with server(link, port=running.port) as again:
        answer = asyncio.run(_once(again, post("/api/recommend", {"user": "u1"})))
        return {
            "switched_before_the_kill": switched,
            "status_after": answer.status,
            "start_s": round(again.seconds, 2),
        }


async def _once(running: Running, request: bytes) -> Answer:
    client = Client(running.host, running.port)
    answer = await client.ask(request)
    await client.close()
    return answer


def point(link: Path, target: Path) -> None:
    """Put a link in another one's place with one rename."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    os.replace(fresh, link)


def table(results: dict[str, Any]) -> str:
    lines = [
        "| workers | identical | at rate: p50 / p90 / p99 / max ms | most per second | MiB |",
        "|---|---|---|---:|---|",
    ]
    for workers, result in results["workers"].items():
        rate = result["at_rate"]
        times = " / ".join(str(rate[key]) for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms"))
        best = max(line["per_second"] for line in result["flat_out"])
        memory_ = f"{result['memory_mib_before']} -> {result['memory_mib_after']}"
        lines.append(
            f"| {workers} | {result['identical']} | {times} ({rate['rate']:g}/s) | {best} | {memory_} |"
        )
    lines += [
        "",
        "| one by one | " + " | ".join(f"p50 / p99 ms, {n} workers" for n in results["workers"]) + " |",
    ]
    lines += ["|---" * (len(results["workers"]) + 1) + "|"]
    for name in next(iter(results["workers"].values()))["one_by_one"]:
        cells = [result["one_by_one"][name] for result in results["workers"].values()]
        lines.append(
            f"| {name} | " + " | ".join(f"{cell['p50_ms']} / {cell['p99_ms']}" for cell in cells) + " |"
        )
    for name, part in results["switch"].items():
        lines.append(
            f"\n{name} the switch: p99 {part['p99_ms']} ms, max {part['max_ms']} ms, {part['statuses']}"
        )
    lines.append(f"\nkilled during a switch, started again: {results['killed']}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in Size()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rate", type=float, default=50, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60, help="at that rate")
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    args = parser.parse_args()
    size = Size(*(getattr(args, name) for name in Size._fields))
    results: dict[str, Any] = {"size": size._asdict(), "workers": {}}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        contents, first, second = write_exports(folder, size)
        gc.freeze()
        for workers in args.workers:
            with server(first, workers=workers) as running:
                done = measure(running, contents, size, args.rate, args.seconds)
                results["workers"][workers] = asyncio.run(done)
        link = folder / "current"
        point(link, first)
        with server(link) as running:
            results["switch"] = asyncio.run(switch(running, link, second, size, args.rate))
        results["killed"] = killed_during_a_switch(link, first)
    results["environment"] = environment()
    print(table(results))
    if args.out:
        args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
