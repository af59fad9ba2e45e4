"""Telling customers: what is owed to whom (outbox), by which channel, and what became of each delivery."""
