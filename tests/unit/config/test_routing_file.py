import json
import os
from pathlib import Path
from typing import Any

import pytest

from router_backend import Device, DeviceLimits, OptimizationGoal
from router_backend.config.load import parse_routing, read_routing_file, to_json
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import PolicyChoice, RoutingRule
from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.errors import ConfigurationError
from tests.unit.config.routing_documents import BAD, BEYOND_THE_SCHEMA, FULL, GOOD

SOURCE = "models/routing.json"


def parse(document: Any) -> RoutingConfig:
    return parse_routing(SOURCE, json.dumps(document).encode())


def refusal(content: bytes) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse_routing(SOURCE, content)
    return str(error.value)


def test_every_key_is_read():
    assert parse(FULL) == RoutingConfig(
        default_policy=PolicyChoice("c3"),
        rules=(
            RoutingRule(
                model_name_pattern="resnet*",
                policy=PolicyChoice("p2c"),
                preferred_devices=frozenset({Device.GPU, Device.NEURAL_ENGINE}),
                max_latency_ms=50.0,
                refuse_late=True,
            ),
            RoutingRule(
                model_name_pattern="bert_?", goal=OptimizationGoal.MINIMIZE_LATENCY, refuse_late=False
            ),
            RoutingRule(model_name_pattern="*"),
        ),
        device_weights={Device.NEURAL_ENGINE: 1.5, Device.GPU: 1.2, Device.CPU: 0.8, Device.MPS: 1.0},
        device_limits={Device.GPU: DeviceLimits(16, 8000.5), Device.CPU: DeviceLimits()},
        profiling=False,
        experiments=(
            Experiment(
                "new",
                "p2c",
                "c3",
                0.1,
                model_name_pattern="bert*",
                unit_range=(0.0, 0.5),
                rollout=(RolloutStep(3600.0, 0.2), RolloutStep(7200.0, 1.0)),
                guardrails=Guardrails(2.0, None, 0.05, mean_ratio=3.0),
            ),
            Experiment(
                "by model",
                "p2c",
                "c3",
                0.1,
                model_name_pattern="resnet*",
                assign_by=AssignBy.MODEL,
                unit_range=(0.5, 1.0),
                guardrails=None,
            ),
        ),
    )


def test_what_is_left_out_is_the_default():
    assert parse({}) == RoutingConfig()


@pytest.mark.parametrize("name", GOOD)
def test_what_is_written_is_read_as_the_same(name: str):
    config = parse(GOOD[name])
    assert parse_routing(SOURCE, to_json(config).encode()) == config


def test_an_experiment_with_a_class_which_no_file_can_hold_is_not_written():
    config = RoutingConfig(experiments=(Experiment("v2", "latency", PowerEfficientPolicy, 0.1),))
    with pytest.raises(ConfigurationError, match="experiment 'v2': expected policies by name"):
        to_json(config)


def test_what_is_written_is_text_that_people_read():
    config = RoutingConfig(
        rules=(RoutingRule(model_name_pattern="naïve*"),), device_weights={Device.GPU: 1.2}
    )
    assert to_json(config).splitlines() == [
        "{",
        '  "default_policy": {',
        '    "name": "latency"',
        "  },",
        '  "routing_rules": [',
        "    {",
        '      "model_name_pattern": "naïve*"',
        "    }",
        "  ],",
        '  "backend_weights": {',
        '    "gpu": 1.2',
        "  }",
        "}",
    ]


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_document_is_refused_with_place_expected_and_found(name: str):
    document, message = BAD[name]
    assert refusal(json.dumps(document).encode()).startswith(f"{SOURCE}{message}")


@pytest.mark.parametrize("name", BEYOND_THE_SCHEMA)
def test_what_no_schema_can_tell_is_refused_as_well(name: str):
    text, message = BEYOND_THE_SCHEMA[name]
    assert refusal(text.encode()).startswith(f"{SOURCE}{message}")


def test_text_that_is_not_utf_8_is_refused_with_the_byte():
    assert (
        refusal(b'{"a": "\xff"}')
        == f"{SOURCE}: expected text in UTF-8, found another byte at 7; save it as UTF-8"
    )


def test_text_that_is_no_json_is_refused_with_line_and_column():
    assert refusal(b'{\n"routing_rules": [,]}') == (
        f"{SOURCE}, line 2, column 19: expected JSON, found an error: Expecting value"
    )


class TestFile:
    def test_keeps_what_was_in_it(self, tmp_path: Path):
        path = tmp_path / "routing.json"
        path.write_text('{"backend_weights": {"gpu": 2}}')
        file = read_routing_file(path)
        assert (file.path, file.content) == (path, b'{"backend_weights": {"gpu": 2}}')
        assert file.config == RoutingConfig(device_weights={Device.GPU: 2.0})

    def test_that_is_not_there_is_refused(self, tmp_path: Path):
        path = tmp_path / "routing.json"
        with pytest.raises(ConfigurationError) as error:
            read_routing_file(path)
        assert str(error.value) == f"{path}: expected a routing configuration, found no such file"

    def test_that_is_too_large_is_refused_before_it_is_read(self, tmp_path: Path):
        path = tmp_path / "routing.json"
        with path.open("wb") as file:
            file.truncate(10**12)
        with pytest.raises(ConfigurationError) as error:
            read_routing_file(path)
        assert str(error.value).startswith(f"{path}: expected at most 1000000 bytes, found {10**12}; ")

    def test_that_is_a_pipe_is_refused_rather_than_waited_for(self, tmp_path: Path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ConfigurationError, match="found something that is not a regular file"):
            read_routing_file(tmp_path / "pipe")

    def test_that_cannot_be_read_is_refused_with_the_reason(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def denied(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        path = tmp_path / "routing.json"
        path.touch()
        monkeypatch.setattr(Path, "read_bytes", denied)  # whoever runs the tests may read everything
        with pytest.raises(ConfigurationError) as error:
            read_routing_file(path)
        assert str(error.value) == f"{path}: expected a readable file, found Permission denied"
