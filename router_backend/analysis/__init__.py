"""What a model is made of, read from its file, and where it can run."""
