"""Figures over several features' tables, read only."""
