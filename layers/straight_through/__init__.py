"""Straight-Through Processing: what the functions share, from the dropped file to the manifest."""
