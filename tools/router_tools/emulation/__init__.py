"""Model repositories of emulated devices for a world of the simulator."""
