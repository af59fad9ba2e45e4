"""Payments: taken at the counter, asked of a phone, reported by a provider."""
