"""What another policy would have cost on a recorded trace."""
