"""A real Prometheus from Debian's package, to test dashboards and alerts without a container."""

from router_tools.prometheus.package import PrometheusPrograms, obtain_prometheus
from router_tools.prometheus.server import PrometheusServer

__all__ = ["PrometheusPrograms", "PrometheusServer", "obtain_prometheus"]
