"""Estimators: each learns by `update(...)` and answers by `predict(...)` or `get()`."""
