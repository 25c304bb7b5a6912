"""A discrete-event simulator that drives the router's public face with a simulated clock."""
