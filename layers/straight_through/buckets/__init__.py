"""S3: the dropped object that is read, the objects that are written.

No rule of what is read or written why.
"""
