"""What becomes of the outputs of a run.

Held at a gate, exported, chained on, and last its manifest.
"""
