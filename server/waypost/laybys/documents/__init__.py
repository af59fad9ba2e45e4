"""Papers of a layby: the agreement and the statement, built purely from what is known of it."""
