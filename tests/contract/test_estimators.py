"""Contract of all estimators: their methods, and finite results for any input.

New estimators are discovered automatically. Add arguments whose names are not in `VALID` there.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_backend.core import learning
from router_backend.core.learning.latency_model import LatencyModel
from tests.contract.discovery import classes_of

ESTIMATORS = [estimator for estimator in classes_of(learning) if hasattr(estimator, "update")]

# From a nanosecond to a day, in milliseconds. Sizes are relative to a reference request.
TIMES_MS = st.floats(1e-6, 8.64e7)
SIZES = st.floats(1e-3, 1e6)
VALID: dict[str, st.SearchStrategy[Any]] = {
    "x": SIZES,
    "size": SIZES,
    "y": TIMES_MS,
    "value": TIMES_MS,
    "service_ms": TIMES_MS,
    "latency_ms": TIMES_MS,
    "ratio": st.floats(1e-6, 1e6),
    "log_ratio": st.floats(-30.0, 30.0),
    "now_s": st.floats(-1e9, 1e9),
    "prior": st.floats(0.0, 1e6),
    "coverage": st.floats(0.01, 0.99),
    "failed": st.booleans(),
    "excess": st.floats(0.0, 1e6),
}
ANYTHING = st.floats(allow_nan=True, allow_infinity=True)


def arguments(function: Callable[..., Any], values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy:
    """Return a strategy for the keyword arguments of a constructor or method."""
    signature = inspect.signature(function)
    names = [name for name, p in signature.parameters.items() if name != "self" and p.default is p.empty]
    missing = sorted(set(names) - set(values))
    assert not missing, f"{function.__qualname__}: add valid values of {missing} to VALID"
    return st.fixed_dictionaries({name: values[name] for name in names})


def created(estimator: type, data: st.DataObject) -> Any:
    takes_arguments = estimator.__init__ is not object.__init__
    return estimator(**data.draw(arguments(estimator.__init__, VALID))) if takes_arguments else estimator()


def answers(estimator: Any, data: st.DataObject) -> list[float]:
    """Return the results of all methods that read an estimator."""
    readers = [getattr(estimator, name) for name in ("predict", "get") if hasattr(estimator, name)]
    return [reader(**data.draw(arguments(reader, VALID))) for reader in readers]


def numbers(estimator: Any) -> dict[str, float]:
    """Return the public numeric attributes of an estimator."""
    names = [name for name in dir(estimator) if not name.startswith("_")]
    shown = {name: getattr(estimator, name) for name in names}
    return {name: value for name, value in shown.items() if isinstance(value, (int, float))}


def is_finite(value: float) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def test_the_estimators_are_found():
    names = {estimator.__name__ for estimator in ESTIMATORS}
    assert {"AffineLaw", "BucketResidual", "ChangeDetector", "ConformalInterval", "LatencyModel"} <= names
    assert {"FailureShare", "LevelFilter"} <= names


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_has_predict_or_get_or_a_value_or_an_update_that_returns_the_result(estimator):
    """A value, in the sense of an attribute that each update sets, is for what is read more than learned."""
    reads = any(hasattr(estimator, name) for name in ("predict", "get", "value"))
    detects = inspect.signature(estimator.update).return_annotation is bool
    assert reads or detects


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_has_a_runnable_example(estimator):
    assert ">>> " in inspect.getdoc(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@given(data=st.data())
def test_stays_finite_under_any_stream_of_valid_observations(estimator, data):
    instance = created(estimator, data)
    assert all(map(is_finite, answers(instance, data)))
    for observation in data.draw(st.lists(arguments(instance.update, VALID), max_size=40)):
        instance.update(**observation)
        assert all(map(is_finite, answers(instance, data)))
        assert all(map(is_finite, numbers(instance).values())), numbers(instance)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@given(data=st.data())
def test_the_same_stream_gives_the_same_answer(estimator, data):
    given_arguments = arguments(estimator.__init__, VALID) if "__init__" in vars(estimator) else st.just({})
    initial = data.draw(given_arguments)
    one, other = estimator(**initial), estimator(**initial)
    for observation in data.draw(st.lists(arguments(one.update, VALID), max_size=20)):
        assert one.update(**observation) == other.update(**observation)
    assert numbers(one) == numbers(other)


class TestLatencyModel:
    """The only estimator whose input is not filtered."""

    @given(
        stream=st.lists(
            st.tuples(st.one_of(ANYTHING, SIZES), st.one_of(ANYTHING, TIMES_MS), VALID["now_s"]), max_size=60
        )
    )
    def test_stays_finite_and_non_negative_for_any_input(self, stream):
        model = LatencyModel()
        for x, service_ms, now_s in stream:
            model.update(x, service_ms, now_s)
            for size in (1e-3, 1.0, 32.0, 1e6):
                assert is_finite(model.predict(size, now_s))
                assert model.predict(size, now_s) >= 0.0
            assert is_finite(model.relative_variance(now_s))
            assert model.relative_variance(now_s) > 0.0

    @given(
        stream=st.lists(st.tuples(SIZES, TIMES_MS, VALID["now_s"]), max_size=20),
        bad_ms=ANYTHING.filter(lambda value: not 1e-9 <= value <= 1e12),
        size=SIZES,
        now_s=VALID["now_s"],
    )
    def test_an_implausible_time_is_counted_as_rejected_and_not_learned(self, stream, bad_ms, size, now_s):
        model = LatencyModel()
        for observation in stream:
            model.update(*observation)
        before = model.predict(size, now_s), model.relative_variance(now_s), model.known
        # Valid times of a thousand times the prediction are also rejected.
        rejected = model.rejected
        assert not model.update(size, bad_ms, now_s)
        assert (model.predict(size, now_s), model.relative_variance(now_s), model.known) == before
        assert model.rejected == rejected + 1

    @given(
        stream=st.lists(
            st.tuples(SIZES, st.one_of(ANYTHING, TIMES_MS, st.sampled_from([1.0, 1e5])), VALID["now_s"]),
            max_size=30,
        )
    )
    def test_every_time_is_either_learned_or_counted_as_rejected(self, stream):
        model = LatencyModel()
        for number, (x, service_ms, now_s) in enumerate(stream):
            before, rejected = model.predict(x, now_s), model.rejected
            if model.update(x, service_ms, now_s):
                assert model.rejected == rejected, number
            else:
                assert (model.predict(x, now_s), model.rejected) == (before, rejected + 1), number

    @given(size=SIZES, service_ms=TIMES_MS, count=st.integers(2, 300))
    def test_a_constant_time_at_one_size_is_learned_exactly(self, size, service_ms, count):
        model = LatencyModel()
        for i in range(count):
            model.update(size, service_ms, 0.1 * i)
        assert model.predict(size, 0.1 * count) == pytest.approx(service_ms)

    @given(
        base_ms=st.floats(0.1, 100.0),
        slope_ms=st.floats(0.01, 50.0),
        seed=st.integers(0, 1000),
    )
    def test_every_law_with_a_base_and_a_slope_is_learned_within_a_tenth(self, base_ms, slope_ms, seed):
        sizes = [1, 2, 4, 8, 16, 32]
        model = LatencyModel()
        for i in range(120):
            x = sizes[(i * 5 + seed) % len(sizes)]
            model.update(x, base_ms + slope_ms * x, 0.1 * i)
        for x in sizes:
            assert model.predict(x, 12.0) == pytest.approx(base_ms + slope_ms * x, rel=0.1)
