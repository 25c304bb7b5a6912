"""A/B tests between policies: assignment, rollout, guardrails, and what they found, one idea a file."""
