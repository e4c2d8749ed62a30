"""What is in a file: its kind by its bytes, and the rows of its one table.

It asks no service and knows no queue.
"""
