"""The table of turns: whose turn it is, what is known of each run, what keeps the queues going.

It never asks Quantemplate.
"""
