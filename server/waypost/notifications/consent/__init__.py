"""Who wants to be told what, and who must not be written to."""
