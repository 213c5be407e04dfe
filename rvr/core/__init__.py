"""The rules of the desk. Pure: no I/O, no clock, no randomness; times, ids and facts arrive as arguments."""
