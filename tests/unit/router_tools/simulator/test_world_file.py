import json
from pathlib import Path
from typing import Any

import pytest

from router_tools.errors import ToolError
from router_tools.simulator.catalog import find, names
from router_tools.simulator.world import Failures
from router_tools.simulator.world_file import read_world

SERVICE = {"affine": {"base_ms": 2, "per_item_ms": 1}}
GPU = {"name": "gpu", "device": "gpu", "service": SERVICE}


def write(folder: Path, **content: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"description": "Mine.", "variants": [GPU]} | content, indent=1))
    return path


@pytest.mark.parametrize("name", names("worlds"))
def test_every_world_that_comes_along_is_valid_and_says_what_is_assumed(name: str) -> None:
    world = read_world(find("worlds", name))
    assert world.name == name
    assert world.assumed


def test_what_is_left_out_gets_the_documented_value(tmp_path: Path) -> None:
    (variant,) = read_world(write(tmp_path)).variants
    assert (variant.concurrency, variant.told_concurrency, variant.max_batch_size) == (1, 1, 0)
    assert (variant.noise_sigma, variant.cold_factor, variant.hidden_load) == (0, 1, 0)
    assert (variant.batching, variant.processor) == (None, None)


def test_cold_calls_and_failures_are_read(tmp_path: Path) -> None:
    failures = [{"variant": "gpu", "from": 0.25, "to": 0.5, "share": 0.2}]
    world = read_world(write(tmp_path, variants=[GPU | {"cold_factor": 60}], failures=failures))
    assert world.variants[0].cold_factor == 60.0
    assert world.failures == (Failures("gpu", 0.25, 0.5, 0.2),)


def test_the_last_drift_outage_or_failure_ends_the_events(tmp_path: Path) -> None:
    drifts = [{"variant": "gpu", "from": 0, "to": 0.3, "factor": 2}]
    outages = [{"variant": "gpu", "from": 0.5, "to": 0.6}]
    failures = [{"variant": "gpu", "from": 0.25, "to": 0.4, "share": 0.2}]
    stalls = [{"variant": "gpu", "every_s": 1, "mean_ms": 10}]
    assert read_world(write(tmp_path, stalls=stalls)).calm_from == 0.0
    assert read_world(write(tmp_path, drifts=drifts, stalls=stalls)).calm_from == 0.3
    assert read_world(write(tmp_path, drifts=drifts, failures=failures)).calm_from == 0.4
    assert read_world(write(tmp_path, drifts=drifts, outages=outages, failures=failures)).calm_from == 0.6


def test_the_router_is_told_the_truth_unless_the_world_says_otherwise(tmp_path: Path) -> None:
    path = write(tmp_path, variants=[GPU | {"concurrency": 4}, GPU | {"name": "b", "told_concurrency": 3}])
    told = [(v.concurrency, v.told_concurrency) for v in read_world(path).variants]
    assert told == [(4, 4), (1, 3)]


def test_a_dead_process_takes_a_second_to_fail_a_call(tmp_path: Path) -> None:
    outages = [
        {"variant": "gpu", "from": 0, "to": 0.1},
        {"variant": "gpu", "from": 0.2, "to": 0.3, "dead": True},
        {"variant": "gpu", "from": 0.4, "to": 0.5, "dead": True, "error_ms": 50},
    ]
    assert [o.error_s for o in read_world(write(tmp_path, outages=outages)).outages] == [0.001, 1.0, 0.05]


def test_a_calm_world_has_the_same_variants_and_nothing_happens(tmp_path: Path) -> None:
    drifts = [{"variant": "gpu", "from": 0, "to": 1, "factor": 2}]
    failures = [{"variant": "gpu", "from": 0, "to": 1, "share": 0.2}]
    world = read_world(write(tmp_path, drifts=drifts, failures=failures))
    assert world.drifts
    assert world.failures
    assert (world.calm().drifts, world.calm().failures, world.calm().calm_from) == ((), (), 0.0)
    assert world.calm().variants == world.variants


BROKEN: list[tuple[dict[str, Any], str]] = [
    (
        {"variants": [GPU | {"device": "tpu"}]},
        "line 6: variants[0].device: expected one of cpu, gpu, neural_engine, mps, found "
        "'tpu' (did you mean 'gpu'?)",
    ),
    (
        {"variants": [GPU | {"service": {"affine": {"base_ms": -3, "per_item_ms": 1}}}]},
        "line 9: variants[0].service.affine.base_ms: expected a number of ms above 0 and up "
        "to 1000000000, found -3",
    ),
    (
        {"variants": [GPU | {"service": {"affine": {"base_ms": 3}}}]},
        "line 8: variants[0].service.affine: expected the key 'per_item_ms' (a number from 0 "
        "to 1000000000), found only base_ms; add it",
    ),
    (
        {"variants": [GPU | {"service": {}}]},
        "line 7: variants[0].service: expected exactly one of affine, table, found none",
    ),
    (
        {"variants": [GPU | {"concurrency": 1.5}]},
        "line 13: variants[0].concurrency: expected a whole number from 1 to 10000, found 1.5",
    ),
    (
        {"variants": [GPU | {"noise": 0.1}]},
        "line 4: variants[0]: expected a known key, found 'noise' (did you mean "
        "'noise_sigma'?); use one of name, device, service, source, concurrency, "
        "told_concurrency, max_batch_size, noise_sigma, cold_factor, slow_share, slow_factor, "
        "dynamic_batching, processor, hidden_load, power_w",
    ),
    (
        {"variants": [GPU | {"service": {"table": {"rows": [{"ms_by_batch": {"one": 3}}]}}}]},
        "line 12: variants[0].service.table.rows[0].ms_by_batch.one: expected a whole number "
        "above 0, of 9 digits at most, as a name, found 'one'",
    ),
    (
        {"variants": [GPU | {"noise_sigma": float("nan")}]},
        "line 13: variants[0].noise_sigma: expected a number from 0 to 2, found NaN",
    ),
    (
        {"variants": []},
        "line 3: variants: expected a list of one or more items, each an object with name, "
        "device, service, source, concurrency, told_concurrency, max_batch_size, noise_sigma,"
        " cold_factor, slow_share, slow_factor, dynamic_batching, processor, hidden_load, power_w, "
        "found an empty list",
    ),
    ({"variants": [GPU, GPU]}, "line 15: variants[1].name: expected a unique name, found 'gpu' again"),
    (
        {"variants": [GPU | {"processor": "chip"}]},
        "line 13: variants[0].processor: expected one of the processors (none), found 'chip'",
    ),
    (
        {"outages": [{"variant": "cpu", "from": 0, "to": 1}]},
        "line 17: outages[0].variant: expected one of gpu, found 'cpu'",
    ),
    (
        {"failures": [{"variant": "cpu", "from": 0, "to": 1, "share": 0.2}]},
        "line 17: failures[0].variant: expected one of gpu, found 'cpu'",
    ),
    (
        {"failures": [{"variant": "gpu", "from": 0, "to": 1, "share": 0}]},
        "line 20: failures[0].share: expected a number above 0 and up to 1, found 0",
    ),
    (
        {"variants": [GPU | {"cold_factor": 0.5}]},
        "line 13: variants[0].cold_factor: expected a number from 1 to 1000000, found 0.5",
    ),
    (
        {"drifts": [{"variant": "gpu", "from": 0.5, "to": 0.4, "factor": 2}]},
        "line 19: drifts[0].to: expected more than 'from' (0.5), found 0.4",
    ),
    (
        {
            "variants": [GPU | {"processor": "p", "dynamic_batching": {"max_batch_size": 8}}],
            "processors": {"p": {"contention": 1}},
        },
        "line 14: variants[0].dynamic_batching: expected a processor of its own for a variant"
        " that batches, found a shared one",
    ),
    (
        {
            "variants": [
                GPU | {"service": {"table": {"rows": [{"ms_by_batch": {"1": 3}}, {"ms_by_batch": {"1": 3}}]}}}
            ]
        },
        "line 10: variants[0].service.table.rows[0]: expected a sequence_length for each of "
        "several rows, found none",
    ),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_an_error_names_file_line_field_and_what_was_expected(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, **content)
    with pytest.raises(ToolError) as caught:
        read_world(path)
    assert str(caught.value) == f"{path}, {message}"


def test_text_that_is_no_json_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{\n "variants": [,]}')
    with pytest.raises(ToolError, match=r"mine\.json, line 2, column 15: expected JSON"):
        read_world(path)


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"description": "Mine."',
            f'"description": {DIGITS}',
            "line 2: description: expected text, found Infinity",
        ),
        (
            '"base_ms": 2',
            f'"base_ms": {DIGITS[:400]}',
            "line 9: variants[0].service.affine.base_ms: expected a number of ms above 0 and up "
            "to 1000000000, found Infinity",
        ),
        (
            '"base_ms": 2',
            '"base_ms": 1e300',
            "line 9: variants[0].service.affine.base_ms: expected a number of ms above 0 and up "
            "to 1000000000, found 1e+300",
        ),
        (
            '"name": "gpu"',
            '"concurrency": 1e30, "name": "gpu"',
            "line 5: variants[0].concurrency: expected a whole number from 1 to 10000, found 1e+30",
        ),
        (
            '"name": "gpu"',
            '"concurrency": 10000000, "name": "gpu"',
            "line 5: variants[0].concurrency: expected a whole number from 1 to 10000, found 10000000",
        ),
        (
            '"name": "gpu"',
            '"name": "cpu", "name": "gpu"',
            "line 5: variants[0].name: expected every key once, found 'name' twice; remove one",
        ),
        (
            '"name": "gpu"',
            r'"name": "\ud800"',
            "line 5: variants[0].name: expected whole characters (\\ud800 to \\udfff alone are "
            "halves), found '\\ud800'",
        ),
    ],
    ids=["5000 digits", "400 digits", "ages", "fraction", "instances", "key twice", "half a character"],
)
def test_what_json_can_say_but_no_world_is_told_with_line_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path, variants=[GPU])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ToolError) as caught:
        read_world(path)
    assert str(caught.value) == f"{path}, {message}"


@pytest.mark.parametrize("depth", [400, 900, 100_000])
def test_a_document_that_is_nested_without_sense_is_refused(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"variants": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(ToolError, match=r"mine\.json"):
        read_world(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"none\.json: expected a file, found no such file"):
        read_world(tmp_path / "none.json")


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(b"{\xff}")
    with pytest.raises(ToolError, match=r"expected text in UTF-8, found another byte at 1"):
        read_world(path)


def test_a_name_that_is_nearly_right_is_guessed() -> None:
    with pytest.raises(ToolError, match=r"found 'resnet5'; did you mean 'resnet50'\?"):
        find("worlds", "resnet5")
