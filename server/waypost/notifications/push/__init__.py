"""Web push: which browsers may be pushed to, with what key, and how a message to one is sealed."""
