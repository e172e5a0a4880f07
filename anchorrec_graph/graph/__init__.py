"""Graphs: the propagation primitive, the user-item graph, item graphs, views on them."""
