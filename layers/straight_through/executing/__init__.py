"""Getting a file through its pipeline.

One Execute, looked at until it has ended, waited for where it must be.
"""
