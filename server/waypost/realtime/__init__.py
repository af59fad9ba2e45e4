"""The hub: rooms, events, who hears them."""
