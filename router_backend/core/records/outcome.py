"""How requests end.

The enumerations are also strings, since these hash fast and every request is counted by them.
"""

from enum import Enum


class Fault(str, Enum):
    """How a variant failed a request.

    ERROR: it answered with an error, which may be the request's fault.
    REJECTED: it answered that the request is invalid, which is the request's fault if this is true.
    UNSUPPORTED: it answered that it does not support the request, or lacks what this names: it may be well,
        and others may serve the request.
    WRONG_ANSWER: it answered, but not with the outputs that were asked for, in their types and with the
        request's batch.
    DEAD: its process has ended, which is not the request's fault.
    NOT_READY: Triton has not loaded it, and the request did not reach it.
    OVERDUE: it has not answered within its bound; it may still answer, but the request went elsewhere.
    """

    ERROR = "error"
    REJECTED = "rejected"
    UNSUPPORTED = "unsupported"
    WRONG_ANSWER = "wrong_answer"
    DEAD = "dead"
    NOT_READY = "not_ready"
    OVERDUE = "overdue"


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
    SHED = "shed"
    OVERLOADED = "overloaded"
