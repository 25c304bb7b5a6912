"""The adaptive policy: its terms, and how their weights balance them."""

import pytest

from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.registry import create_policy
from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import ConfigurationError
from tests.unit.core.policies.scored import candidate, pick, score, weights


def test_each_weight_decides_by_its_own_term() -> None:
    open_fp32 = ModelCharacteristics("m", dynamic_dimensions=("x[2]",))
    reduced = ModelCharacteristics("m", quantization=frozenset({"int8_weights"}))  # type: ignore[arg-type]
    a = candidate(
        "a",
        Device.NEURAL_ENGINE,
        8.0,
        power_w=8.0,
        characteristics=open_fp32,
        suitability=Suitability(fixed_ms=1.0, per_item_ms=0.0),
    )
    b = candidate(
        "b",
        Device.GPU,
        4.0,
        power_w=70.0,
        characteristics=reduced,
        suitability=Suitability(fixed_ms=2.0, per_item_ms=0.0),
    )
    a.failure_share = 0.1
    expected = {
        "latency_weight": "b",
        "resource_weight": "a",
        "complexity_weight": "a",
        "quantization_weight": "b",
        "dynamic_shape_weight": "b",
        "history_weight": "b",
    }
    for both in ([a, b], [b, a]):
        assert {name: pick(weights(**{name: "1"}), both) for name in expected} == expected


OPEN = ModelCharacteristics("m", dynamic_dimensions=("x[2]",))
FIXED = ModelCharacteristics("m")
REDUCED = ModelCharacteristics("m", quantization=frozenset({Quantization.INT8_WEIGHTS}))


class TestPenalties:
    """Without a weight on an amount, the cost is the penalty."""

    def test_a_model_that_is_not_known_to_be_quantized_costs_twice_as_much(self) -> None:
        models = (REDUCED, FIXED, None)
        candidates = [candidate("v", Device.GPU, 4.0, characteristics=model) for model in models]
        assert [score(weights(quantization_weight="1"), each) for each in candidates] == [[1.0], [2.0], [2.0]]

    def test_open_shapes_cost_twice_as_much_where_shapes_are_compiled(self) -> None:
        def cost(device: Device, model: ModelCharacteristics | None) -> float:
            each = candidate("v", device, 4.0, characteristics=model)
            return score(weights(dynamic_shape_weight="1"), each)[0]

        assert cost(Device.NEURAL_ENGINE, OPEN) == 2.0
        assert cost(Device.NEURAL_ENGINE, FIXED) == cost(Device.NEURAL_ENGINE, None) == 1.0
        assert cost(Device.GPU, OPEN) == cost(Device.CPU, OPEN) == 1.0

    def test_failures_and_doubt_cost_their_share(self) -> None:
        def cost(failure_share: float, relative_sd: float) -> float:
            each = candidate("v", Device.GPU, 4.0, relative_sd=relative_sd)
            each.failure_share = failure_share
            return score(weights(history_weight="1"), each)[0]

        found = [cost(0.0, 0.0), cost(0.1, 0.0), cost(0.0, 0.5), cost(0.1, 0.5)]
        assert found == pytest.approx([1.0, 1.1, 1.5, 1.6])

    def test_they_are_multiplied_each_to_the_power_of_its_weight(self) -> None:
        worst = candidate("v", Device.NEURAL_ENGINE, 4.0, characteristics=OPEN, relative_sd=0.5)
        third = dict.fromkeys(["quantization_weight", "dynamic_shape_weight", "history_weight"], "1")
        assert score(weights(**third), worst) == pytest.approx([(2.0 * 2.0 * 1.5) ** (1 / 3)])


class TestMeans:
    """An amount counts relative to its mean; each request changes a mean by a hundredth."""

    @staticmethod
    def request(service_ms: float, power_w: float, prior_ms: float) -> Candidate:
        stated = Suitability(fixed_ms=prior_ms, per_item_ms=0.0)
        return candidate("v", Device.GPU, service_ms, power_w=power_w, suitability=stated)

    def costs_after_one(self, second: Candidate, *, dry_run: bool = False, **named: str) -> list[float]:
        """Return the cost of a request after one of 10 ms, 200 mJ and a prior of 5 ms."""
        policy = weights(**named)
        score(policy, self.request(10.0, 20.0, 5.0), context=RoutingContext(dry_run=dry_run))
        return score(policy, second)

    def test_of_latency_and_energy(self) -> None:
        """The second one takes 20 ms and 100 mJ, so that the means are 10.1 ms and 199 mJ."""
        second = self.request(20.0, 5.0, 5.0)
        both = {"latency_weight": "1", "resource_weight": "1"}
        assert self.costs_after_one(second, **both) == pytest.approx([20.0 + 100.0 * 10.1 / 199.0])
        alone = [20.0 + 100.0 * 20.0 / 100.0]
        assert self.costs_after_one(second, dry_run=True, **both) == pytest.approx(alone)

    def test_of_work(self) -> None:
        """The means are 10.1 ms and a prior of 5.05 ms."""
        second = self.request(20.0, 5.0, 10.0)
        assert self.costs_after_one(second, complexity_weight="1") == pytest.approx([10.0 * 10.1 / 5.05])
        alone = [10.0 * 20.0 / 10.0]
        assert self.costs_after_one(second, dry_run=True, complexity_weight="1") == pytest.approx(alone)


def test_only_the_relation_of_the_weights_counts() -> None:
    def costs(factor: float) -> list[float]:
        default = AdaptiveRoutingPolicy.DEFAULT_WEIGHTS
        scaled = {name: str(factor * weight) for name, weight in default.items()}
        prior = Suitability(fixed_ms=2.0, per_item_ms=0.0)
        return score(
            create_policy("adaptive", scaled),
            candidate("quick", Device.GPU, 4.0, power_w=70.0, suitability=prior, relative_sd=0.5),
            candidate("thrifty", Device.NEURAL_ENGINE, 8.0, power_w=8.0, suitability=prior),
        )

    assert costs(10.0) == pytest.approx(costs(1.0))


def test_work_costs_the_soonest_latency_times_the_prior_relative_to_its_own() -> None:
    soon = candidate("soon", Device.GPU, 4.0, suitability=Suitability(fixed_ms=2.0, per_item_ms=0.0))
    late = candidate("late", Device.GPU, 8.0, suitability=Suitability(fixed_ms=3.0, per_item_ms=0.0))
    assert score(weights(complexity_weight="1"), soon, late) == pytest.approx([4.0, 6.0])


def test_by_default_work_counts_an_eighth_of_latency_and_energy() -> None:
    def costs(prior_ms: float) -> list[float]:
        stated = Suitability(fixed_ms=2.0, per_item_ms=0.0), Suitability(fixed_ms=prior_ms, per_item_ms=0.0)
        return score(
            AdaptiveRoutingPolicy(),
            candidate("soon", Device.GPU, 4.0, power_w=50.0, suitability=stated[0]),
            candidate("late", Device.GPU, 8.0, power_w=50.0, suitability=stated[1]),
        )

    (_, light), (_, heavy) = costs(2.0), costs(6.0)
    assert heavy / light == pytest.approx((8.0 + 8.0 + 4.0 * 3 / 8) / (8.0 + 8.0 + 4.0 / 8))


def test_the_balance_shifts_with_the_weights() -> None:
    thrifty = candidate("thrifty", Device.NEURAL_ENGINE, 8.0, power_w=8.0)
    quick = candidate("quick", Device.GPU, 4.0, power_w=40.0)
    # Compared with the quick one, the thrifty one has 100 % more latency and takes 60 % less energy.
    assert pick(weights(latency_weight="1", resource_weight="1.6"), [quick, thrifty]) == "quick"
    assert pick(weights(latency_weight="1", resource_weight="1.8"), [quick, thrifty]) == "thrifty"


def test_large_requests_weigh_more_than_small_ones() -> None:
    """For the small request, three times the latency is little compared with the mean; so is its energy."""

    def both(share: float) -> list[Candidate]:
        return [
            candidate("quick", Device.GPU, 40.0 * share, power_w=70.0),
            candidate("thrifty", Device.NEURAL_ENGINE, 120.0 * share, wait_ms=1.0, power_w=8.0),
        ]

    policy = weights(latency_weight="1", resource_weight="1")
    pick(policy, both(1.0))
    small = both(0.01)
    pick(policy, small)
    quick, thrifty = small
    assert thrifty.cost - quick.cost == pytest.approx(1.8 - 0.01 * 40.0 * (70 - 24) / 70, rel=0.02)


def test_an_unknown_figure_counts_for_no_candidate() -> None:
    stated = candidate("stated", Device.GPU, 4.0, suitability=Suitability(fixed_ms=9.0, per_item_ms=0.0))
    unknown = candidate("unknown", Device.CPU, 4.0)
    pick(weights(complexity_weight="1"), [unknown, stated])
    assert stated.cost == pytest.approx(unknown.cost)


def test_the_balance_is_expressed_in_ms() -> None:
    quick = candidate("quick", Device.GPU, 4.0, power_w=70.0)
    slow = candidate("slow", Device.CPU, 16.0, power_w=70.0)
    assert pick(weights(latency_weight="1", resource_weight="1"), [slow, quick]) == "quick"
    assert (quick.cost, slow.cost) == (pytest.approx(8.0), pytest.approx(32.0)), "latency and as much energy"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        *(
            (
                {"latency_weight": text},
                f"parameters.latency_weight: expected a number of 0 or more, found '{text}'",
            )
            for text in ("-1", "nan", "inf", "much")
        ),
        (
            dict.fromkeys(AdaptiveRoutingPolicy.DEFAULT_WEIGHTS, "0"),
            "parameters: expected a weight above 0, found none; raise one of them",
        ),
    ],
)
def test_a_weight_that_is_wrong_is_refused_with_its_place(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        create_policy("adaptive", parameters)
    assert str(error.value) == f"policy 'adaptive': {message}"
