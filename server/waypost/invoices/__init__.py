"""Invoices between organisations, for trips."""
