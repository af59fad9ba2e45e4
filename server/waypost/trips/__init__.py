"""Trips: a driver's journeys, who may see them, what happened on them."""
