from router_backend.core.records.basis import Basis
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import NOMINAL_POWER_W, Device, Variant
from router_backend.core.variants.candidate import Candidate


def test_without_predictions_it_is_an_idle_variant_of_one_instance():
    candidate = Candidate(Variant("v", Device.GPU))
    assert (candidate.service_ms, candidate.wait_ms, candidate.latency_ms, candidate.variance) == (0, 0, 0, 0)
    assert (candidate.utilization, candidate.in_flight, candidate.concurrency) == (0, 0, 1)
    assert (candidate.mean_service_ms, candidate.failure_share, candidate.excess) == (0, 0, 0)
    assert (candidate.size, candidate.weight, candidate.cost) == (1, 1, 0)
    assert candidate.basis is Basis.MEASURED
    assert (candidate.power_w, candidate.memory_mb) == (NOMINAL_POWER_W[Device.GPU], None)


def test_its_prior_grows_with_the_size_of_the_request():
    variant = Variant("v", Device.GPU, suitability=Suitability(fixed_ms=2.0, per_item_ms=3.0))
    assert Candidate(variant, size=4.0).prior_ms == 14.0
    assert Candidate(Variant("v", Device.GPU), size=4.0).prior_ms == 0.0
