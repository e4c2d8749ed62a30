"""What becomes of the outputs of a run.

held at a gate, exported, chained on, and last its manifest.
"""
