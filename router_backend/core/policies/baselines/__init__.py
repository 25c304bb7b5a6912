"""The field's routers, to be compared with: one file a policy, each true to its source.

None of them knows the latency that this router learned; they keep the state of their originals. Breaker,
filters and warm-up stand outside every policy, so these get the same.
"""
