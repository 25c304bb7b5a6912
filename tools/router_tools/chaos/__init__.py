"""Faults of variants, of which the clients of a router should notice little: `model-router chaos`."""
