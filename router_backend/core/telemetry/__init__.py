"""What the router counts, as a snapshot, as metrics, and as text."""
