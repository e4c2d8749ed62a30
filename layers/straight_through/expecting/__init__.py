"""What should have come: files that routes expect by a day, and who is told when they are late.

The sweep judges, each period once; what has come, CheckFile and RunEnded note.
"""
