"""Threads and files around the router. Nothing here knows Triton."""
