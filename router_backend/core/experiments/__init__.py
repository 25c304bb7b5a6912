"""A/B tests between policies: assignment, rollout, guardrails and reports."""
