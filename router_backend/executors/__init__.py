"""Executors: the model code of variants in Triton's Python backend."""
