"""Waypost: real-time tracking and notification for businesses that deliver."""
