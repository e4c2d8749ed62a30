"""What starts runs without files: updates of datasets, schedules, and who waits for what.

Names are made of a route and what has caused its run, so that what comes twice starts one run.
"""
