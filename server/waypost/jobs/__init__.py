"""Jobs: long work for a person, in chunks that survive a worker's death; timed runs."""
