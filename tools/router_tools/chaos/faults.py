"""The faults that are tried. To add one, write a function that makes it, and its line in `FAULTS`."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from router_tools.chaos.stage import ILL, SERVICE_MS, Stage

CROWD = 40
"""Requests that are sent to the variant that hangs, more than there are threads."""


class Fault(NamedTuple):
    """A fault.

    Args:
        meaning: what happens, in a few words.
        run: makes it happen for so many seconds; when it returns, nothing keeps the variants from serving.
    """

    meaning: str
    run: Callable[[Stage, float], None]


def kill_often(stage: Stage, seconds: float) -> None:
    """Kill the variant's process every 10 s."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        stage.kill()
        time.sleep(min(10.0, max(0.0, until_s - time.monotonic())))


def hang_for_ever(stage: Stage, seconds: float) -> None:
    """Let the variant hang; at the end, its process is killed, since nothing else ends it."""
    stage.set_fault("hang")
    time.sleep(seconds)
    stage.set_fault("well")
    stage.kill()


def pause(stage: Stage, seconds: float) -> None:
    """Let the variant hang for 5 s, again and again."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        _ill(stage, "pause", min(5.0, seconds))
        time.sleep(2.0)


def flap(stage: Stage, seconds: float) -> None:
    """Let the variant fail every other second."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        _ill(stage, "fail", 1.0)
        time.sleep(1.0)


def stay_silent(stage: Stage, seconds: float) -> None:
    """Let the variant answer no request."""
    _ill(stage, "silent", seconds)


def slow_down(stage: Stage, seconds: float) -> None:
    """Let the variant take ten times as long."""
    _ill(stage, "slow", seconds)


def answer_wrong(stage: Stage, seconds: float) -> None:
    """Let the variant answer without its output."""
    _ill(stage, "wrong", seconds)


def reload_variants(stage: Stage, seconds: float) -> None:
    """Unload and load each variant in turn."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for variant in SERVICE_MS:
            stage.reload(variant)


def reload_router(stage: Stage, seconds: float) -> None:
    """Load the router again and again."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        stage.reload_router()
        time.sleep(1.0)


def hang_with_a_crowd(stage: Stage, seconds: float) -> None:
    """Let the variant hang, with more requests for it alone than a router has threads."""
    stage.set_fault("pause")
    for value in range(CROWD):
        stage.send_to(ILL, value)
    time.sleep(seconds)
    stage.set_fault("well")


FAULTS: Mapping[str, Fault] = {
    "kill": Fault("kill -9 of a process, every 10 s", kill_often),
    "hang": Fault("hangs for ever, then is killed", hang_for_ever),
    "pause": Fault("hangs for 5 s, now and then", pause),
    "silent": Fault("never answers", stay_silent),
    "slow": Fault("ten times slower", slow_down),
    "wrong": Fault("answers without outputs", answer_wrong),
    "flap": Fault("fails every other second", flap),
    "reload": Fault("variants are unloaded and loaded", reload_variants),
    "router": Fault("the router is loaded again", reload_router),
    "crowd": Fault(f"hangs with {CROWD} requests for it", hang_with_a_crowd),
}


def _ill(stage: Stage, fault: str, seconds: float) -> None:
    stage.set_fault(fault)
    time.sleep(seconds)
    stage.set_fault("well")
