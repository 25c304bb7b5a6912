"""What is known of a request, a variant and a model: plain records."""
