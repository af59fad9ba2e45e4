"""Payment providers, each in one file of pure functions: what we ask of it, and what its callbacks mean."""
