"""Recordings of one's own, listed in a table."""
