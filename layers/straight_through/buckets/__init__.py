"""S3: the dropped object that is read, and the objects that are written."""
