"""What people and other systems are told.

Of a run that has ended, and what to do about an error. It sends nothing that it was not given.
"""
