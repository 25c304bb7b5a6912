"""One logical model: selects a variant for each request and records how its attempts ended."""
