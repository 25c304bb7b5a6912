"""Online estimators: each learns with `update(...)` and answers with `predict(...)` or `get()`."""
