"""The real Prometheus of this machine's Debian, to try what reads the metrics without a container."""

from router_tools.prometheus.package import PrometheusPrograms, obtain_prometheus
from router_tools.prometheus.server import PrometheusServer

__all__ = ["PrometheusPrograms", "PrometheusServer", "obtain_prometheus"]
