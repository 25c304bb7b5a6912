"""Model code of variants: one file an executor."""
