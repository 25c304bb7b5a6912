"""Decides and learns. Standard library only: no Triton, no I/O, no wall clock, no global randomness."""
