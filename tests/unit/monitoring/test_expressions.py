"""Dashboard and alerts ask for metrics that there are, and the dashboard shows each of the router's."""

import re

import pytest

from tests import compose
from tests.compose import ROUTER_METRICS

_NAMES = re.compile(r"\b(?:model_router|nv)_[a-z_]+")
TRITON_METRICS = frozenset({"nv_inference_request_success", "nv_inference_request_failure"})
EXPRESSIONS = {
    **{f"panel {number}": text for number, text in enumerate(compose.dashboard_expressions())},
    **compose.alerts(),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_names_metrics_that_there_are(name: str) -> None:
    assert set(_NAMES.findall(EXPRESSIONS[name])) <= ROUTER_METRICS | TRITON_METRICS


def test_the_dashboard_shows_every_metric_of_the_router() -> None:
    shown = set(_NAMES.findall(" ".join(compose.dashboard_expressions())))
    assert shown >= ROUTER_METRICS


def test_no_two_panels_have_one_number_or_lie_over_each_other() -> None:
    panels = compose.dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
