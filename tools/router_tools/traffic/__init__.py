"""Traffic of one's own against a served router: requests, and what they show of it."""
