"""A short version of `model-router chaos`: no request fails while a variant is ill."""

import pytest

from router_tools.embedded_triton import RouterHost
from router_tools.run_chaos import run

pytestmark = pytest.mark.integration

SECONDS = 3.0
BUSY_MACHINE_MS = 2000.0
"""Tests share the machine with others; how long clients wait on a quiet one is measured by the command."""


def test_a_dead_a_silent_and_a_wrong_variant_cost_no_client_its_answer(router_host: RouterHost) -> None:
    for trial in run(["kill", "silent", "wrong"], [router_host], SECONDS, BUSY_MACHINE_MS):
        lost = [broken for broken in trial.broken if "failed" in broken or "no answer" in broken]
        assert (trial.fault, lost, trial.errors) == (trial.fault, [], ())
        assert min(trial.before.requests, trial.during.requests, trial.after.requests) > 20
