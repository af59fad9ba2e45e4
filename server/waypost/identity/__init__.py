"""Organisations and their settings, people and their roles, the tokens of people and devices."""
