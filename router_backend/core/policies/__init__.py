"""Routing policies, one per file, and the registry of their names."""
