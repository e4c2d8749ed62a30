"""A client for the Quantemplate API, of use to any Python program.

It imports nothing of this application, and its errors say what the server answered; what is to be
done about it, whoever uses the client knows.
"""

__version__ = "1.1.0"  # of the whole application: said here, and nowhere else
