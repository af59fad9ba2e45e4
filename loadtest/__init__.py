"""Load tests: what a Waypost on this machine carries, as figures."""
