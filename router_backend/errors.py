"""What can go wrong, each kind with its own class, so that callers catch what they can name."""

import difflib


class RouterError(Exception):
    """Base of every error that the router raises on purpose; its text is fit to be shown to a client."""


class ConfigurationError(RouterError):
    """A setting, a model configuration or a file is wrong: where, what was expected, found, and the fix."""


class InvalidRequestError(RouterError):
    """The client's request cannot be served by any variant, whatever their state."""


class NoVariantError(RouterError):
    """Every variant that fits the request is out at the moment: not ready, ejected or already tried."""


class DeadlineError(NoVariantError):
    """No variant would answer within the request's deadline, and such requests are refused."""


class OverloadedError(RouterError):
    """More requests are in flight than the router accepts."""


class VariantsFailedError(RouterError):
    """Every variant that was tried answered with an error; the text keeps each one's own."""


def nearest(name: str, known: list[str]) -> str:
    """' (did you mean ...?)' where a known name is near, else nothing."""
    matches = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""
