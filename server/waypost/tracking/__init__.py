"""Fixes in, positions out: reports of devices, the live view, a trip's track."""
