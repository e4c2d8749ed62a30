"""What people and other systems are told.

of a run that has ended, and what to do about an error.
"""
