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
from anchorrec_graph.config import load_config
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.drawing import degree_figure, ego_figure, require_matplotlib, save_figure
from anchorrec_graph.graph.knn import KnnConfig, attach_item_graphs
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
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours per item in the item graphs.")] = 10,
    item: Annotated[str | None, typer.Option(help="An item id: its neighbours in every item graph.")] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Write .svg or .png: the item's network, or degrees without --item.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Print and draw the user-item graph and each modality's item graph."""
    if draw is not None:
        require_matplotlib()
    data = attach_item_graphs(load_config(config, override or ()).dataset.load(), KnnConfig(k=k))
    row = None if item is None else item_row(data, item)
    if draw is not None:
        _draw(data, row, draw)
    report = {"graphs": graph_rows(data), "overlap": overlap_rows(data)}
    if row is not None:
        report = {"item": [_neighbour_row(data, row, modality) for modality in data.modalities]}
    if as_json:
        print_json(report)
        return
    for title, rows in report.items():
        if rows:
            print_table(title, list(rows[0]), [list(entry.values()) for entry in rows])
    if draw is not None and not quiet:
        print(f"drawn to {draw}")


def item_row(data: HeteroData, item: str) -> int:
    """The row of an item id.

    Raises:
        DataError: no such item.
    """
    ids: pl.Series = data["item"].table["item_id"]
    found = (ids == item).arg_max() if (ids == item).any() else None
    if found is None:
        raise DataError(f"unknown item '{item}'; ids look like '{ids[0]}'")
    return int(found)


def graph_rows(data: HeteroData) -> list[dict[str, Any]]:
    """Size, degrees, components and hubness of every graph of the data set."""
    edge_index, num_users, num_items = train_graph(data)
    joined = torch.stack([edge_index[0], edge_index[1] + num_users])
    nodes = num_users + num_items
    rows = [_row("user-item", degrees(joined.flatten(), nodes), edge_index.shape[1], joined, nodes, None)]
    for modality in data.modalities:
        edges = data["item", f"{modality}_knn", "item"].edge_index
        skewness = hubness(edges, num_items).skewness
        incoming = degrees(edges[1], num_items)
        rows.append(_row(f"{modality} kNN (in)", incoming, edges.shape[1], edges, num_items, skewness))
    return rows


def _row(
    name: str, degree: torch.Tensor, num_edges: int, edges: torch.Tensor, nodes: int, skewness: float | None
) -> dict[str, Any]:
    summary, components = degree_summary(degree), component_sizes(edges, nodes)
    return {
        "graph": name, "nodes": nodes, "edges": num_edges, "degree min": summary.minimum,
        "median": summary.median, "mean": summary.mean, "max": summary.maximum, "isolated": summary.isolated,
        "Gini": summary.gini, "components": len(components), "largest": int(components[0]), "hubness": skewness,
    }  # fmt: skip


def overlap_rows(data: HeteroData) -> list[dict[str, Any]]:
    """How far the item graphs of each two modalities agree."""
    edges = {m: data["item", f"{m}_knn", "item"].edge_index for m in data.modalities}
    num_items = int(data["item"].num_nodes)
    rows = []
    for a, b in combinations(data.modalities, 2):
        overlap = neighbour_overlap(edges[a], edges[b], num_items)
        rows.append({"graphs": f"{a}, {b}", "shared neighbours": overlap.mean, "above chance": overlap.corrected})
    return rows


def _titles(data: HeteroData) -> list[str]:
    table: pl.DataFrame = data["item"].table
    return [str(title) for title in table["title" if "title" in table.columns else "item_id"]]


def _neighbour_row(data: HeteroData, row: int, modality: str) -> dict[str, Any]:
    (item, neighbour), titles = data["item", f"{modality}_knn", "item"].edge_index, _titles(data)
    return {"graph": modality, "neighbours": "; ".join(titles[j] for j in neighbour[item == row].tolist())}


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
