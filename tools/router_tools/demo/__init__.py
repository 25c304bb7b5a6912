"""How the demo's models are made, one step a file."""
