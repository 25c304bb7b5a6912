"""Making the demo's models, one step per file."""
