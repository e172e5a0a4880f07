"""Many machines: tasks of Ray (extra `ray`).

A task gets all that it needs as arguments and returns all that is kept, and only the process that gives
out the tasks reads data and writes results: the machines need the same packages, but no common folder.
Whoever reaches the ports of a Ray cluster can run code on it: use it in a network that you trust.
"""
