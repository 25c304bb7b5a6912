"""Queueing stations: how variants serve requests, one module per discipline."""
