"""The simulator's files: worlds, workloads, suites and traces; the JSON Schemas are generated from it."""
