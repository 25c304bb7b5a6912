"""The router's metrics in Triton's endpoint are correct, also after failures and reloads."""

import subprocess
import time
from collections.abc import Callable

import pytest

from router_backend.core.telemetry.metrics import METRICS
from router_tools.embedded_triton import EmbeddedTriton
from router_tools.prometheus import obtain_prometheus
from tests.integration.client import Client, Scrape, items, until
from tests.integration.model_repository import ModelRepository

pytestmark = pytest.mark.integration

REQUESTS = "model_router_requests_total"
SOON = "50"  # ms: the tests wait for values that are written at this interval
TWO_INSTANCES = "instance_group [{ kind: KIND_CPU count: 2 }]"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> ModelRepository:
    repository = ModelRepository(tmp_path_factory.mktemp("metered"))
    repository.variant("fast", "scaling", factor=2)
    repository.variant("slow", "scaling", factor=3, delay_ms=30)
    repository.variant("no_paper", "refusing", refuses="everything", message="out of paper")
    repository.variant("absent", "gated", gate="nowhere")
    repository.router("counted", "fast, slow", metrics_interval_ms=SOON)
    repository.router("half_broken", "no_paper, slow", metrics_interval_ms=SOON)
    repository.router("hasty", "no_paper, slow", metrics_interval_ms=SOON)
    repository.router("deserted", "absent", metrics_interval_ms=SOON)
    refusing = {"max_latency_ms": 1, "refuse_late": "true"}
    repository.router("punctual", "slow", metrics_interval_ms=SOON, **refusing)
    repository.router("twofold", "fast, slow", TWO_INSTANCES, metrics_interval_ms=SOON)
    repository.router("reloaded", "fast", metrics_interval_ms=SOON)
    repository.router("uncounted", "fast", metrics_interval_ms=SOON)
    repository.router("silent", "fast", metrics="false")
    return repository


@pytest.fixture(scope="module")
def server(triton_server: Callable[..., EmbeddedTriton], repository: ModelRepository) -> EmbeddedTriton:
    return triton_server(repository.folder, model_control_mode="explicit", extra_arguments=["--load-model=*"])


def expect(server: EmbeddedTriton, value: float, name: str, **labels: str) -> None:
    """Check that the sum becomes a value, and keeps it until the next interval is over."""
    until(lambda: Scrape(server).total(name, **labels) == value)


def answers(server: EmbeddedTriton, model: str) -> float:
    return Scrape(server).total(REQUESTS, model=model, outcome="success")


def test_the_sum_over_variants_equals_the_clients_count(server: EmbeddedTriton, client: Client) -> None:
    before = answers(server, "counted")
    for value in range(30):
        client.ask("counted", items(value))
    expect(server, before + 30, REQUESTS, model="counted", outcome="success")
    scrape = Scrape(server)
    by_device = scrape.total(REQUESTS, model="counted", device="cpu", policy="latency")
    assert by_device == before + 30
    assert scrape.total("model_router_requests_within_total", model="counted", le_seconds="+Inf") == by_device
    assert scrape.total("model_router_request_duration_seconds_total", model="counted") > 0.0
    assert scrape.total("model_router_decision_duration_seconds_total", model="counted") > 0.0


def test_warm_ups_are_not_counted(server: EmbeddedTriton) -> None:
    assert Scrape(server).total(REQUESTS, model="deserted") == 0.0
    assert answers(server, "silent") == 0.0


def test_dry_runs_are_not_counted(server: EmbeddedTriton, client: Client) -> None:
    until(lambda: Scrape(server).total("model_router_variant_ready", model="uncounted") == 1.0)
    for _ in range(3):
        client.ask("uncounted", items(1), parameters={"router_dry_run": True})
    client.ask("uncounted", items(1))
    expect(server, 1, REQUESTS, model="uncounted", outcome="success")
    assert Scrape(server).total(REQUESTS, model="uncounted") == 1.0


def test_a_request_with_an_invalid_parameter_is_counted_as_refused(
    server: EmbeddedTriton, client: Client
) -> None:
    client.refusal("uncounted", items(1), parameters={"router_goal": "fast"})
    client.refusal("uncounted", items(1), parameters={"router_policy": "static:nobody"})
    expect(server, 2, "model_router_refusals_total", model="uncounted", reason="invalid_request")


def test_a_failure_and_the_retry_count_at_the_variant_that_failed(
    server: EmbeddedTriton, client: Client
) -> None:
    failed = 0
    while failed < 2:
        failed += len(client.decision("half_broken", items(1))["failed"])
    expect(server, failed, "model_router_retries_total", model="half_broken", variant="no_paper")
    expect(server, failed, "model_router_faults_total", variant="no_paper", fault="error")
    expect(server, failed, REQUESTS, model="half_broken", variant="no_paper", outcome="failure")
    assert Scrape(server).total(REQUESTS, model="half_broken", outcome="ignored") == 0.0
    assert Scrape(server).total("model_router_retries_total", model="half_broken", variant="slow") == 0.0


def test_refusals_are_counted_by_their_reason(server: EmbeddedTriton, client: Client) -> None:
    for _ in range(3):
        client.refusal("deserted", items(1))
    expect(server, 3, "model_router_refusals_total", model="deserted", reason="no_variant")
    assert Scrape(server).total("model_router_variant_ready", model="deserted", variant="absent") == 0.0


def test_a_request_that_no_variant_can_answer_in_time_is_refused_at_once_if_configured(
    server: EmbeddedTriton, client: Client
) -> None:
    until(lambda: client.knows("punctual", "slow"))
    refusal = client.refusal("punctual", items(1))
    assert refusal.status == "UNAVAILABLE"
    assert "model 'punctual': no variant can answer within " in refusal.message
    assert " ms, the soonest is expected in " in refusal.message
    expect(server, 1, "model_router_refusals_total", model="punctual", reason="deadline")
    assert Scrape(server).total(REQUESTS, model="punctual") == 0.0
    client.ask("punctual", items(1), parameters={"router_refuse_late": False})
    asked = {"router_allowed_variants": "slow", "router_max_latency_ms": 2, "router_refuse_late": True}
    assert "no variant can answer within " in client.refusal("counted", items(1), parameters=asked).message


def test_a_request_that_is_late_after_a_failure_is_refused_like_any_late_one(
    server: EmbeddedTriton, client: Client
) -> None:
    for _ in range(20):  # after a few answers, a variant gets the benefit of the doubt
        client.ask("hasty", items(1), parameters={"router_allowed_variants": "slow"})
    until(lambda: client.knows("hasty", "slow"))
    asked = {"router_max_latency_ms": 20, "router_refuse_late": True}

    def refused_after_a_failure() -> bool:  # none is sent to the broken one while its breaker is open
        time.sleep(0.1)  # after a hundred refusals in a row, the slow one would be tried all the same
        refusal = client.refusal("hasty", items(1), parameters=asked)
        assert refusal.status == "UNAVAILABLE"
        assert "model 'hasty': no variant can answer within " in refusal.message
        return Scrape(server).total(REQUESTS, model="hasty", variant="no_paper", outcome="ignored") > 0.0

    until(refused_after_a_failure)


def test_an_answer_after_its_deadline_is_counted(server: EmbeddedTriton, client: Client) -> None:
    only_slow = {"router_allowed_variants": "slow", "router_max_latency_ms": 5}
    client.ask("counted", items(1), parameters=only_slow)
    until(lambda: Scrape(server).total("model_router_deadline_misses_total", variant="slow") >= 1.0)


@pytest.mark.usefixtures("python_host")  # instances share one router in the native host
def test_instances_of_a_router_add_up_and_show_their_own_state(
    server: EmbeddedTriton, client: Client
) -> None:
    before = answers(server, "twofold")
    calls = [client.submit("twofold", items(1)) for _ in range(40)]
    for call in calls:
        call.answer.result()
    expect(server, before + 40, REQUESTS, model="twofold", outcome="success")
    text = Scrape(server).text
    assert 'router_instance="twofold_0_0"' in text
    assert 'router_instance="twofold_0_1"' in text


def test_counters_continue_when_a_router_is_loaded_again(
    server: EmbeddedTriton, client: Client, repository: ModelRepository
) -> None:
    before = answers(server, "reloaded")
    for number in range(3):
        client.ask("reloaded", items(1))
        repository.router("reloaded", "fast", metrics_interval_ms=SOON, max_in_flight=100 + number)
        client.grpc.load_model("reloaded")  # the old instance writes its last counts before it ends
        expect(server, before + number + 1, REQUESTS, model="reloaded", outcome="success")
    until(lambda: Scrape(server).total("model_router_variant_ready", model="reloaded") == 1.0)


def test_a_router_that_is_unloaded_leaves_its_gauges_at_zero(server: EmbeddedTriton, client: Client) -> None:
    until(lambda: Scrape(server).total("model_router_variant_ready", model="reloaded") == 1.0)
    before = answers(server, "reloaded")
    client.grpc.unload_model("reloaded")
    expect(server, 0.0, "model_router_variant_ready", model="reloaded")
    assert answers(server, "reloaded") == before
    client.grpc.load_model("reloaded")
    expect(server, 1.0, "model_router_variant_ready", model="reloaded")


def test_a_router_without_metrics_shows_none(server: EmbeddedTriton, client: Client) -> None:
    client.ask("silent", items(1))
    client.ask("counted", items(1))
    assert 'model="silent"' not in "".join(
        line for line in Scrape(server).text.splitlines(keepends=True) if line.startswith("model_router_")
    )


def test_promtool_accepts_the_routers_metrics(server: EmbeddedTriton, client: Client) -> None:
    client.ask("counted", items(1))
    until(lambda: answers(server, "counted") > 0)
    text = Scrape(server).text
    own = "".join(line for line in text.splitlines(keepends=True) if "model_router_" in line)
    shown = {metric.name for metric in METRICS if f"# TYPE {metric.name} {metric.kind.value}\n" in own}
    assert {metric.name for metric in METRICS if "experiment" not in metric.name} <= shown
    promtool = [str(obtain_prometheus().promtool), "check", "metrics"]
    checked = subprocess.run(promtool, input=own, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
