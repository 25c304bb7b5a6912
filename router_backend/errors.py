"""What can go wrong, each kind with its own class, so that callers catch what they can name."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

DEFECTS = (Exception, SystemExit)
"""What a user's policy, or a defect, may raise; a `SystemExit` would end a thread without a word."""

LONGEST_SHOWN = 500
LONGEST_NAME = 100
"""Longer names are not compared with known ones: that takes time in proportion to their length."""


def utf8_text(text: str) -> str:
    r"""Return a text that Triton can log and answer with, with escapes for lone surrogates and NUL.

    >>> utf8_text("a\ud800b\0c")
    'a\\ud800b\\x00c'
    """
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


class RouterError(Exception):
    """Base of every error that the router raises on purpose; its text is fit to be shown to a client.

    Attributes:
        status: the gRPC status that a client receives.
        advice: what to do about it.
    """

    status: str = "INTERNAL"
    advice: ClassVar[str] = "as it says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a configuration. Only `expected` is always given.

    Args:
        where: the file or object that is wrong, such as `model 'resnet50', config.pbtxt`.
        path: the setting in it, such as `routing_rules[0].policy`.
        expected: what is valid.
        found: what is there instead.
        hint: a guess at what was meant.
        fix: what to do.

    Examples:
        >>> problem = Problem(path="weight", expected="a number above 0", found="-1", fix="leave it out")
        >>> print(problem.at("routing.json", "rules[0]"))
        routing.json: rules[0].weight: expected a number above 0, found -1; leave it out
    """

    expected: str
    where: str = ""
    path: str = ""
    found: str = ""
    hint: str = ""
    fix: str = ""

    def __str__(self) -> str:
        place = "".join(f"{part}: " for part in (self.where, _cut(self.path)) if part)
        found = f", found {_cut(self.found)}" if self.found else ""
        hint = f" ({self.hint})" if self.hint else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{place}expected {self.expected}{found}{hint}{fix}"

    def at(self, where: str = "", path: str = "") -> "Problem":
        """Return the same problem as seen from further up: `where` and `path` come before its own."""
        wheres = ", ".join(filter(None, (where, self.where)))
        return replace(self, where=wheres, path=join_path(path, self.path))


class ConfigurationError(RouterError):
    """A setting, a model configuration or a file is wrong.

    Args:
        problems: everything that is wrong, if it is several things; else the fields of `Problem` are given.
    """

    def __init__(
        self,
        *problems: Problem,
        where: str = "",
        path: str = "",
        expected: str = "",
        found: str = "",
        hint: str = "",
        fix: str = "",
    ) -> None:
        one = Problem(where=where, path=path, expected=expected, found=found, hint=hint, fix=fix)
        self.problems = problems or (one,)
        super().__init__(*self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))

    def at(self, where: str = "", path: str = "") -> "ConfigurationError":
        """Return the same error as seen from further up: `where` and `path` come before its own."""
        return ConfigurationError(*(problem.at(where, path) for problem in self.problems))


def require(valid: bool, path: str, expected: str, found: object, *, where: str = "", fix: str = "") -> None:
    """Reject a setting unless it is valid.

    Raises:
        ConfigurationError: it is not.
    """
    if not valid:
        raise ConfigurationError(where=where, path=path, expected=expected, found=f"{found}", fix=fix)


class Problems(list[Problem]):
    """Collects what is wrong in several steps, to report all of it at once.

    Examples:
        >>> problems = Problems()
        >>> with problems.collect("routing.json"):
        ...     raise ConfigurationError(expected="a number", found="a list")
        >>> problems.raise_if_any()
        Traceback (most recent call last):
        router_backend.errors.ConfigurationError: routing.json: expected a number, found a list
    """

    @contextmanager
    def collect(self, where: str = "", path: str = "") -> Iterator[None]:
        """Keep the problems of a step instead of raising them, as seen from `where` and `path`."""
        try:
            yield
        except ConfigurationError as error:
            self += error.at(where, path).problems

    def raise_if_any(self) -> None:
        """Raise all of them.

        Raises:
            ConfigurationError: there are some.
        """
        if self:
            raise ConfigurationError(*self)


class InvalidRequestError(RouterError):
    """The client's request cannot be served by any variant, in no state of theirs, or one rejected it."""

    status = "INVALID_ARGUMENT"
    advice = "correct the request"


class NoVariantError(RouterError):
    """Every variant that fits the request is out at the moment: not ready, ejected or already tried."""

    status = "UNAVAILABLE"
    advice = "load a variant, or try again later"


class DeadlineError(NoVariantError):
    """No variant would answer within the request's deadline, and such requests are rejected."""

    advice = "allow more time, send less, or do without `refuse_late`"


class ShedError(DeadlineError):
    """The request would be in time, but would make others late that matter more, or as much."""

    advice = "send fewer at a time, or raise the request's `router_priority`"


class OverloadedError(RouterError):
    """More requests are in flight than the router accepts."""

    status = "UNAVAILABLE"
    advice = "send fewer at a time, or raise `max_in_flight`"

    @staticmethod
    def of(in_flight: int) -> "OverloadedError":
        """Return the error for a request that arrives while the allowed number is in flight."""
        return OverloadedError(
            f"{in_flight} requests are in flight, which is the limit: send fewer at a time, "
            f"or raise the router's parameter 'max_in_flight'"
        )


class VariantsFailedError(RouterError):
    """Every variant that was tried answered with an error; the text has each of them.

    Args:
        text: the message.
        status: the gRPC status that all of these errors have.
    """

    advice = "see the error of each variant in the message"

    def __init__(self, text: str, *, status: str = "INTERNAL") -> None:
        super().__init__(text)
        self.status = status


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" if a known name is similar or is a word of this one, else nothing.

    Examples:
        >>> nearest("metal_mps", ["cpu", "mps"])
        "did you mean 'mps'?"
    """
    if len(name) > LONGEST_NAME:
        return ""
    spelled = {each.lower(): each for each in known}
    words = [word for word in re.split("[^a-z0-9]+", name.lower()) if word in spelled]
    matches = difflib.get_close_matches(name.lower(), spelled, n=1) or words
    return f"did you mean '{spelled[matches[0]]}'?" if matches else ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def join_path(outer: str, inner: str) -> str:
    """Return the path of `inner` seen from where `outer` is.

    Examples:
        >>> join_path("routing_rules", join_path("[0]", "goal"))
        'routing_rules[0].goal'
    """
    separator = "." if outer and inner and not inner.startswith("[") else ""
    return f"{outer}{separator}{inner}"
