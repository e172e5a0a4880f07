"""anchorrec graph"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import torch
import typer
from torch_geometric.data import HeteroData

from anchorrec_graph.cli.options import AsJson, ConfigPath, Overrides, Quiet, print_json, print_table
from anchorrec_graph.config import Config, load_config
from anchorrec_graph.data.ids import Ids
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.drawing import (
    FIGURE_TYPES,
    degree_figure,
    ego_figure,
    require_matplotlib,
    save_figure,
)
from anchorrec_graph.graph.knn import ApproximateConfig, KnnConfig, attach_item_graphs
from anchorrec_graph.graph.topology import (
    component_sizes,
    degree_summary,
    degrees,
    ego_network,
    hubness,
    neighbour_overlap,
    to_networkx_items,
)


def graph(
    config: ConfigPath,
    override: Overrides = None,
    k: Annotated[
        int, typer.Option("-k", min=1, metavar="N", help="Neighbours per item in the item graphs.")
    ] = 10,
    item: Annotated[
        str | None, typer.Option(metavar="ID", help="An item id: its neighbours in every item graph.")
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write .svg or .png: the item's network, or degrees without --item."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure and draw the graphs of a data set.

    They are the user-item graph of training, and for each modality the k nearest neighbours of every item.
    Above model.knn.approximate.above items these are approximate, and their recall is measured.
    """
    if draw is not None:
        require_matplotlib()
        if draw.suffix not in FIGURE_TYPES:
            raise ConfigError(f"--draw {draw}: the file must end in .svg or .png")
    settings = load_config(config, override or ())
    data = attach_item_graphs(settings.dataset.load(), KnnConfig(k=k, approximate=_search(settings)))
    row = None if item is None else Ids("item", data["item"].table["item_id"]).row(item)
    report: dict[str, Any]
    if row is None:
        report = {"graphs": graph_rows(data), "overlap": overlap_rows(data)}
    else:
        report = {"item": item, "title": _titles(data)[row], "neighbours": neighbour_rows(data, row)}
    if draw is not None:
        _draw(data, row, draw)
    if as_json:
        print_json(report)
        return
    if row is None:
        _print_graphs(report["graphs"])
        if report["overlap"]:
            _print_rows("overlap of neighbours, from 0 to 1", report["overlap"])
    else:
        _print_rows(f"nearest to {report['title']}", report["neighbours"])
    if draw is not None and not quiet:
        print(f"drawn to {draw}")


def _search(settings: Config) -> ApproximateConfig:
    """That of the model's own item graphs, if it has any."""
    knn = getattr(settings.model, "knn", None)
    return knn.approximate if isinstance(knn, KnnConfig) else ApproximateConfig()


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    print_table(title, list(rows[0]) if rows else [], [list(row.values()) for row in rows])


def _print_graphs(graphs: list[dict[str, Any]]) -> None:
    """One column per graph: a row of twelve numbers is wider than a terminal."""
    first, *names = graphs[0]
    rows: list[list[object]] = [[name, *(_whole(graph[name]) for graph in graphs)] for name in names]
    print_table("graphs", ["", *(graph[first] for graph in graphs)], rows)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def graph_rows(data: HeteroData) -> list[dict[str, Any]]:
    """Degrees, components and hubness, of the users and the items in training and of every item graph."""
    edge_index, num_users, num_items = train_graph(data)
    user, item = edge_index
    joined, nodes = torch.stack([user, item + num_users]), num_users + num_items
    rows = [
        _row("users", degrees(user, num_users), joined, nodes, None),
        _row("items", degrees(item, num_items), joined, nodes, None),
    ]
    for modality in data.modalities:
        store = data["item", f"{modality}_knn", "item"]
        edges, skewness = store.edge_index, hubness(store.edge_index, num_items).skewness
        row = _row(f"{modality} kNN (in)", degrees(edges[1], num_items), edges, num_items, skewness)
        rows.append({**row, "recall": store.recall if "recall" in store else 1.0})
    return rows


def _row(
    name: str, degree: torch.Tensor, edges: torch.Tensor, graph_nodes: int, skewness: float | None
) -> dict[str, Any]:
    """Degrees of some nodes of a graph, and the components of the whole graph."""
    summary, components = degree_summary(degree), component_sizes(edges, graph_nodes)
    return {
        "graph": name, "nodes": len(degree), "edges": edges.shape[1], "degree min": summary.minimum,
        "median": summary.median, "mean": summary.mean, "max": summary.maximum, "isolated": summary.isolated,
        "Gini": summary.gini, "components": len(components), "largest": int(components[0]),
        "hubness": skewness, "recall": None,
    }  # fmt: skip


def overlap_rows(data: HeteroData) -> list[dict[str, Any]]:
    """How far the item graphs of each two modalities agree."""
    edges = {m: data["item", f"{m}_knn", "item"].edge_index for m in data.modalities}
    num_items = int(data["item"].num_nodes)
    rows = []
    for a, b in combinations(data.modalities, 2):
        overlap = neighbour_overlap(edges[a], edges[b], num_items)
        rows.append(
            {"graphs": f"{a}, {b}", "shared neighbours": overlap.mean, "above chance": overlap.corrected}
        )
    return rows


def _titles(data: HeteroData) -> list[str]:
    table: pl.DataFrame = data["item"].table
    return [str(title) for title in table["title" if "title" in table.columns else "item_id"]]


def neighbour_rows(data: HeteroData, row: int) -> list[dict[str, Any]]:
    """The neighbours of an item in every item graph, nearest first."""
    ids, titles, rows = data["item"].table["item_id"], _titles(data), []
    for modality in data.modalities:
        store = data["item", f"{modality}_knn", "item"]
        mine = store.edge_index[0] == row
        nearest = zip(store.edge_index[1, mine].tolist(), store.edge_weight[mine].tolist(), strict=True)
        for j, cosine in sorted(nearest, key=lambda pair: -pair[1]):
            rows.append({"graph": modality, "item_id": ids[j], "title": titles[j], "cosine": cosine})
    return rows


def _draw(data: HeteroData, row: int | None, path: Path) -> None:
    num_items = int(data["item"].num_nodes)
    stores = {m: data["item", f"{m}_knn", "item"] for m in data.modalities}
    if not stores:
        raise ConfigError("--draw: the data set has no modality, so there is no item graph to draw")
    if row is None:
        figure = degree_figure(
            {m: degrees(store.edge_index[1], num_items) for m, store in stores.items()}, "in-degree"
        )
    else:
        views = {
            m: to_networkx_items(store.edge_index, store.edge_weight, num_items, _titles(data))
            for m, store in stores.items()
        }
        figure = ego_figure({m: ego_network(view, row, 1) for m, view in views.items()}, row)
    save_figure(figure, path)
