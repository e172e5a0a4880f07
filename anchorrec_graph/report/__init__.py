"""One HTML file about runs: data, results, curves, maps, diagnosis, examples, audit."""

from anchorrec_graph.report.report import write_report

__all__ = ["write_report"]
