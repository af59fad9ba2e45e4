"""Double entry: accounts, and postings that sum to zero."""
