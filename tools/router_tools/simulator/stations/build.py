"""Creation of the stations of a world."""

from router_tools.simulator.agenda import Agenda
from router_tools.simulator.stations.base import Station
from router_tools.simulator.stations.batching import BatchingStation
from router_tools.simulator.stations.first_come import FirstComeStation
from router_tools.simulator.stations.shared import ProcessorEvents, SharedStation
from router_tools.simulator.world import World, WorldVariant


def build_stations(world: World, agenda: Agenda) -> dict[str, Station]:
    """Return the stations of a world by variant, in the order of the world, without events."""
    processors = {name: ProcessorEvents(agenda, contention) for name, contention in world.contention.items()}
    return {variant.name: _station(variant, agenda, processors) for variant in world.variants}


def _station(variant: WorldVariant, agenda: Agenda, processors: dict[str, ProcessorEvents]) -> Station:
    if variant.batching is not None:
        return BatchingStation(variant, agenda, variant.batching)
    if variant.processor is not None:
        return SharedStation(variant, agenda, processors[variant.processor])
    return FirstComeStation(variant, agenda)
