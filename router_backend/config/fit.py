"""Holds policies and experiments against the variants of a model, and says which place names a wrong one."""

from collections.abc import Callable, Collection, Iterator, Sequence

from router_backend.config.parameters import RouterParameters
from router_backend.config.routing_config import PolicyChoice, RoutingConfig
from router_backend.core.experiments.experiment import Experiment, check_experiments
from router_backend.core.policies.base import Policy
from router_backend.errors import ConfigurationError


def check_fit(
    model_name: str,
    variants: Collection[str],
    parameters: RouterParameters,
    routing: RoutingConfig,
    source: str,
) -> None:
    """Refuse a policy that is for other variants, and experiments that want the same requests of a model.

    Args:
        model_name: the router model.
        variants: the names of its variants.
        parameters: what it says itself.
        routing: what holds where it says nothing.
        source: the file that this is from, for the messages.

    Raises:
        ConfigurationError: the place, the model, and what is wrong.
    """
    own = parameters.own.chooser
    makers = list(_arms(routing.experiments, model_name))
    if own is None:
        chooser, place = routing.chooser_for(model_name)
        makers.insert(0, (chooser.new_policy, place))
    else:
        _check_own(model_name, own, variants)
    for make, place in makers:
        try:
            make().check(variants)
        except ConfigurationError as error:
            raise ConfigurationError(f"{source}, at {place}: model '{model_name}', {error}") from None
    try:
        check_experiments(model_name, [each for each in routing.experiments if each.matches(model_name)])
    except ConfigurationError as error:
        place = "experiments"
        raise ConfigurationError(f"{source}, at {place}: {error}") from None


def _check_own(model_name: str, own: PolicyChoice, variants: Collection[str]) -> None:
    try:
        own.new_policy().check(variants)
    except ConfigurationError as error:
        raise ConfigurationError(f"model '{model_name}', config.pbtxt, parameter {error}") from None


def _arms(experiments: Sequence[Experiment], model_name: str) -> Iterator[tuple[Callable[[], Policy], str]]:
    """What makes the policies of the experiments that are for a model, and the place of each."""
    for index, experiment in enumerate(experiments):
        if experiment.matches(model_name):
            yield experiment.new_control, f"experiments[{index}].control"
            yield experiment.new_treatment, f"experiments[{index}].treatment"
