"""Files that belong together: which have come of a set, and who runs it.

Whoever completes a set claims it with the write that notes its file.
"""
