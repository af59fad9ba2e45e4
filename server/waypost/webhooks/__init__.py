"""Subscribers of ours: what happened, signed, to an address of theirs; asked again until they take it."""
