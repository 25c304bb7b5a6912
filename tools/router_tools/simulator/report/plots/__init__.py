"""Plots of a comparison, one module per plot; each shows one seed."""
