"""Plain records about requests, variants and models."""
