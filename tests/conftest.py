from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

# On a slow machine, examples take long; that is no error.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# For `make mutants`: whether a property fails, not its simplest counterexample; the same in every run.
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=40,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of the demo with both files of SqueezeNet, which take seconds to make."""
    # They import onnxruntime, which most tests do not need.
    from router_tools.demo import repository
    from router_tools.demo.architecture import SQUEEZENET

    folder = tmp_path_factory.mktemp("demo_cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "ARCHITECTURES", (SQUEEZENET,))
        repository.make_models(folder, force=False, announce=lambda _: None)
    return folder


@pytest.fixture(scope="session")
def squeezenet_fp32(demo_cache: Path) -> Path:
    (file,) = demo_cache.glob("*_fp32-*.onnx")
    return file


@pytest.fixture(scope="session")
def squeezenet_int8(demo_cache: Path) -> Path:
    (file,) = demo_cache.glob("*_int8-*.onnx")
    return file
