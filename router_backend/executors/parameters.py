"""The parameters in a variant's config.pbtxt, sorted by who reads them."""

from collections.abc import Mapping
from typing import NamedTuple

from router_backend.config.repository import STATED


class Parameters(NamedTuple):
    """The parameters that an executor reads.

    Args:
        own: its settings.
        prefixed: those whose names begin with its prefix, without that: what they may be is open.

    Examples:
        >>> Parameters.split({"url": "mac:8001", "header.x": "1", "macs": "7"}, "header.")
        Parameters(own={'url': 'mac:8001'}, prefixed={'x': '1'})
    """

    own: dict[str, str]
    prefixed: dict[str, str]

    @classmethod
    def split(cls, texts: Mapping[str, str], prefix: str) -> "Parameters":
        """Sort parameters; what the variant states about its model is for the router."""
        prefixed = {key.removeprefix(prefix): text for key, text in texts.items() if key.startswith(prefix)}
        own = {key: text for key, text in texts.items() if not (key.startswith(prefix) or key in STATED)}
        return cls(own, prefixed)
