"""Makes a model repository of emulated devices from a world of the simulator."""
