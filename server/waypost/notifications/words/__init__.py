"""What is said: an organisation's own words and ours, checked, previewed, and chosen when a notice is sent."""
