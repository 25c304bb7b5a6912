"""The number of files of the core that a routed request passes on its way out and back."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import router_backend.core
from router_backend import Device, ModelRouter, ModelSettings, RoutingContext, Variant

CORE = Path(router_backend.core.__file__).parent
MAX_OUT, MAX_BACK = 18, 16
"""More files would make a request harder to follow; fewer are welcome: lower the limit then."""


def files_passed(call: Callable[[], object]) -> list[str]:
    """Return the files of the core whose functions are called, in the order of their first call."""
    passed: dict[str, None] = {}

    def profile(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(CORE):
            passed[str(path.relative_to(CORE))] = None

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return list(passed)


def test_one_request_passes_few_files_out_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    router = ModelRouter(ModelSettings(policy="latency"))
    router.register_model("m", variants=[Variant(name, Device.CPU) for name in "abc"])
    for name in "abc" * 8:
        context = RoutingContext(allowed_variants=frozenset({name}))
        router.dispatch("m", context).next_attempt().succeeded(10.0)
    attempts = []
    out = files_passed(lambda: attempts.append(router.dispatch("m", RoutingContext()).next_attempt()))
    back = files_passed(lambda: attempts[0].succeeded(10.0))
    with capsys.disabled():
        for way, passed in (("out", out), ("back", back)):
            sys.stdout.write(f"\n{way}: {len(passed)} files of core/: {', '.join(passed)}")
    assert len(out) <= MAX_OUT
    assert len(back) <= MAX_BACK
