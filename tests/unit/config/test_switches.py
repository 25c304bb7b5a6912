import pytest

from router_backend.config.load import read_parameters
from router_backend.errors import ConfigurationError


@pytest.mark.parametrize("text", ["1", "0", "True", "yes", "on", ""])
def test_only_true_and_false_are_switches(text: str):
    with pytest.raises(ConfigurationError, match="metrics: expected true or false"):
        read_parameters("m", {"variants": "a=cpu", "metrics": text})
