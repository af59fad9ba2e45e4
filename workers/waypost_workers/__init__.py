"""The worker process: timed work now; deliveries, provider calls and jobs as they come."""
