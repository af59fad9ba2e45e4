"""A person's right to be forgotten, across every feature."""
