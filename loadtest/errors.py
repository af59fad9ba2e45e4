"""What goes wrong in a measurement and is somebody's to put right."""

from __future__ import annotations


class LoadtestError(Exception):
    """One line for the person at the prompt."""
