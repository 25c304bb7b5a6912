"""From the variants of a model to a decision: filters, guesses for unknown variants, the record of it."""
