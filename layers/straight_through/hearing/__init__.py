"""Quantemplate's events: who may send them, what they say, and which run they wake.

An event is a hint from an unknown sender. It may make a run look earlier, and tells nothing.
"""
