"""The command `stp`: routes, drops, runs and queues of a deployed stack, from a terminal."""
