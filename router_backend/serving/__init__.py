"""Triton's side: the only folder, executors apart, that imports triton_python_backend_utils."""
