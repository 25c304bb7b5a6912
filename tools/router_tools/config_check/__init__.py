"""What is wrong with a routing configuration or a model repository, and what it resolves to."""
