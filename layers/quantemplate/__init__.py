"""A client for the Quantemplate API, of use to any Python program."""
