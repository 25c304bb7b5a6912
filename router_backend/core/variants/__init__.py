"""The state of one variant: what it learned, what is in flight, its health, its counts."""
