"""What can go wrong, each kind with its own class, so that callers catch what they can name."""

import difflib
import re


class RouterError(Exception):
    """Base of every error that the router raises on purpose; its text is fit to be shown to a client."""


class ConfigurationError(RouterError):
    """A setting, a model configuration or a file is wrong: where, what was expected, found, and the fix."""


class InvalidRequestError(RouterError):
    """The client's request cannot be served by any variant, whatever their state."""


class RequestPolicyError(InvalidRequestError):
    """The policy that a request names is none, or is not for the model that it asks for.

    Args:
        model_name: the model.
        refusal: of the policy.

    Attributes:
        reason: what was expected and found.
    """

    def __init__(self, model_name: str, refusal: str) -> None:
        super().__init__(f"model '{model_name}', {refusal}")
        self.reason = refusal.removeprefix("policy: ")


class NoVariantError(RouterError):
    """Every variant that fits the request is out at the moment: not ready, ejected or already tried."""


class DeadlineError(NoVariantError):
    """No variant would answer within the request's deadline, and such requests are refused."""


class OverloadedError(RouterError):
    """More requests are in flight than the router accepts."""


class VariantsFailedError(RouterError):
    """Every variant that was tried answered with an error; the text keeps each one's own."""


class UnknownNameError(ValueError):
    """A text is none of the names that it could be; for readers of texts, which are told only of ValueErrors.

    Args:
        name: what was found.
        known: what could have been.
    """

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(name)
        self.hint = nearest(name, known)


def nearest(name: str, known: list[str]) -> str:
    """' (did you mean ...?)' where a known name is near, or is a word of this one; else nothing.

    Examples:
        >>> nearest("metal_mps", ["cpu", "mps"])
        " (did you mean 'mps'?)"
    """
    spelt = {each.lower(): each for each in known}
    words = [word for word in re.split("[^a-z0-9]+", name.lower()) if word in spelt]
    matches = difflib.get_close_matches(name.lower(), spelt, n=1) or words
    return f" (did you mean '{spelt[matches[0]]}'?)" if matches else ""
