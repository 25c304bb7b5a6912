"""The state of one variant: what was learned, what is in flight, its health."""
