"""python -m anchorrec_graph: the command `anchorrec`."""

from anchorrec_graph.cli.app import main

main()
