"""How requests end: at a variant, and without an answer.

The enumerations are strings, too, because these have a fast hash, and every request is counted by them.
"""

from enum import Enum


class Fault(str, Enum):
    """How a variant failed a request.

    ERROR: it answered with an error, which may be the request's own fault.
    DEAD: its process has ended; no request is to blame for that.
    NOT_READY: Triton has not loaded it; no request ever reached it.
    """

    ERROR = "error"
    DEAD = "dead"
    NOT_READY = "not_ready"


class Outcome(str, Enum):
    """The three ends of a request at a variant. IGNORED says nothing about the variant."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


class Refusal(str, Enum):
    """Why a request got no answer."""

    INVALID_REQUEST = "invalid_request"
    NO_VARIANT = "no_variant"
    DEADLINE = "deadline"
    OVERLOADED = "overloaded"
