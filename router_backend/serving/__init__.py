"""Triton's API: the only folder except `executors` that imports triton_python_backend_utils."""
