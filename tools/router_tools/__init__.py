"""The commands: one file each, behind one entry point (`model-router --help`)."""
