"""A discrete-event simulator that drives the router's public API with a simulated clock."""
