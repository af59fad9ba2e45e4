"""What every feature stands on: pure, and of no feature."""
