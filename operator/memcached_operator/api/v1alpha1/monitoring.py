"""Parts of the specification that say how the pods are monitored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kopf_sdk.api import Format, Model
from memcached_operator.api.v1alpha1.pods import LabelMap, Resources

__all__ = ["Metrics", "PrometheusRule", "ServiceMonitor"]


class ServiceMonitor(Model):
    """Tells Prometheus to scrape the pods. Made only where the kind exists (Prometheus operator)."""

    enabled: bool = True
    """Make a ServiceMonitor."""

    labels: LabelMap = Field(default_factory=dict)
    """Labels that your Prometheus selects ServiceMonitors by."""

    interval: Annotated[str, Field(pattern=r"^[1-9][0-9]*(s|m)$", max_length=8)] = "30s"
    """Time between two scrapes."""


class PrometheusRule(Model):
    """Alerts for this resource. Made only where the kind exists (Prometheus operator)."""

    enabled: bool = True
    """Make a PrometheusRule."""

    labels: LabelMap = Field(default_factory=dict)
    """Labels that your Prometheus selects rules by."""


class Metrics(Model):
    """Prometheus metrics of every pod, under the names of memcached_exporter."""

    enabled: bool = False
    """Run an exporter beside memcached. It works with TLS and users as well."""

    port: Annotated[int, Field(ge=1024, le=65535), Format("int32")] = 9150
    """Port of the exporter."""

    resources: Resources | None = None
    """CPU and memory of the exporter, where 5m and 40Mi (at most 64Mi) do not fit."""

    service_monitor: ServiceMonitor = Field(default_factory=ServiceMonitor)
    """Tells Prometheus to scrape the pods."""

    prometheus_rule: PrometheusRule = Field(default_factory=PrometheusRule)
    """Alerts for this resource."""
