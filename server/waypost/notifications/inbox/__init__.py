"""A member's own inbox: what they were told inside the house. Its rows are deliveries of the channel ``in_app``."""
