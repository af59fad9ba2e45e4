"""What providers say later of a message, and what people answer."""
