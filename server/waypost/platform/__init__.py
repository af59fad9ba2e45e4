"""What touches the machine: database, Redis, HTTP, processes, logs."""
