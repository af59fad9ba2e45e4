"""What providers of messages ask, answer and report, as pure functions; one file each."""
