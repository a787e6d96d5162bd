"""The kind `Memcached`: the source of the CRD, and what the reconcile function receives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kopf_sdk.api import CustomResource, Format, ListMap, Model, PrinterColumn, Rule, Scale
from memcached_operator.api.v1alpha1.access import Auth, NetworkPolicy, Service, Tls
from memcached_operator.api.v1alpha1.discovery import Discovery
from memcached_operator.api.v1alpha1.extstore import Extstore, Size
from memcached_operator.api.v1alpha1.monitoring import Metrics
from memcached_operator.api.v1alpha1.pods import (
    Embedded,
    ExtraArguments,
    LabelMap,
    LocalObjectReference,
    PodDisruptionBudget,
    Probes,
    Resources,
    UpdateStrategy,
    WarmRestart,
)
from memcached_operator.api.v1alpha1.scaling import Autoscaling
from memcached_operator.api.v1alpha1.status import MemcachedStatus

__all__ = ["Memcached", "MemcachedSpec", "MemcachedStatus"]

MAX_NAME = 52
"""Longest name: the StatefulSet controller appends a hash of 11 characters for the label `controller-revision-hash`."""

Int32 = Annotated[int, Format("int32")]
_CLAIM = (
    "has(self.extstore) && self.extstore.volume == 'claim' ? self.extstore.size + ' ' + "
    "(has(self.extstore.storageClassName) ? self.extstore.storageClassName : '') : ''"
)
"""What the StatefulSet's claims are made of, in CEL."""


class MemcachedSpec(
    Model,
    rules=[
        Rule(
            "quantity(self.memory).compareTo(quantity('8Mi')) >= 0 "
            "&& quantity(self.memory).compareTo(quantity('1Ti')) <= 0",
            message="memory must be between 8Mi and 1Ti",
            field_path=".memory",
        ),
        Rule(
            "quantity(self.maxItemSize).compareTo(quantity('1Ki')) >= 0 "
            "&& quantity(self.maxItemSize).asApproximateFloat() * 2.0 <= quantity(self.memory).asApproximateFloat()",
            message="maxItemSize must be at least 1Ki and at most half of memory",
            field_path=".maxItemSize",
        ),
        Rule(
            "self.maxConnections >= 5 * self.threads + 32",
            message="maxConnections must be at least 5 × threads + 32: memcached may open so many files and no more, "
            "and every thread takes five",
            field_path=".maxConnections",
        ),
        Rule(
            "!has(self.resources) || !has(self.resources.limits) || !('memory' in self.resources.limits) || "
            "quantity(string(self.resources.limits['memory'])).asApproximateFloat() >= "
            "quantity(self.memory).asApproximateFloat() * 1.1 + 4194304.0 * double(self.threads) + 25165824.0 "
            "+ (has(self.extstore) ? 25165824.0 : 0.0)",
            message="resources.limits.memory cannot hold memory: it takes memory × 1.1 + 4Mi per thread + 24Mi, and "
            "24Mi more with extstore",
            field_path=".resources",
        ),
        Rule(
            "!self.warmRestart.enabled || self.probes.type == 'protocol'",
            message="warmRestart needs a shell in the image, which stops and starts memcached: probes.type must be "
            "protocol",
            field_path=".warmRestart",
        ),
        Rule(
            "!self.warmRestart.enabled || quantity(self.memory).compareTo(quantity('64Mi')) >= 0",
            message="warmRestart takes a memory of at least 64Mi: with it memcached starts with a page of 1Mi for "
            "every slab class",
            field_path=".memory",
        ),
        Rule(
            "!has(self.extstore) || !self.warmRestart.enabled",
            message="extstore and warmRestart exclude each other: memcached cannot keep what is on disk over a restart",
            field_path=".extstore",
        ),
        Rule(
            "!has(self.extstore) || quantity(self.maxItemSize).compareTo(quantity('4Mi')) <= 0",
            message="maxItemSize can be at most 4Mi with extstore: memcached writes through buffers of that size",
            field_path=".maxItemSize",
        ),
        Rule(
            f"({_CLAIM}) == ({_CLAIM.replace('self.', 'oldSelf.')})",
            message="extstore cannot change where its volume is, or becomes, a claim, because the claims of a "
            "StatefulSet are immutable (retention can): use another Memcached",
            field_path=".extstore",
        ),
        Rule(
            "!has(self.tls) || !self.tls.plainPort || self.tls.port != self.containerPort",
            message="tls.port and containerPort must differ",
            field_path=".tls",
        ),
        Rule(
            "!self.metrics.enabled || (self.metrics.port != self.containerPort && "
            "(!has(self.tls) || !self.tls.plainPort || self.metrics.port != self.tls.port))",
            message="metrics.port must differ from the ports of memcached",
            field_path=".metrics",
        ),
    ],
):
    """What is wanted. Everything has a default: an empty spec is one pod with 64 MiB for items."""

    size: Annotated[int, Field(ge=0, le=1000), Format("int32")] = 1
    """Number of memcached pods. Clients hash keys over them by their stable names. With `autoscaling` it is the
    autoscaler's to set: leave it out of manifests; 0 turns the autoscaler off."""

    autoscaling: Autoscaling | None = None
    """Let an autoscaler set `size`."""

    container_port: Annotated[int, Field(ge=1024, le=65535), Format("int32")] = 11211
    """Port that memcached listens on, in the pods and in both Services. Ports below 1024 need a privilege that the
    pods do not have."""

    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Image of memcached. The operator's default when absent; 1.6.40 or newer reloads certificates and passwords in
    place."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the kubelet pulls the image."""

    image_pull_secrets: Annotated[list[LocalObjectReference], Field(max_length=16), ListMap("name")] = Field(
        default_factory=list
    )
    """Secrets with registry credentials."""

    memory: Size = "64Mi"
    """Memory for items in every pod (memcached's -m). The container's request and limit are derived from it."""

    max_connections: Annotated[int, Field(ge=64, le=1_000_000), Format("int32")] = 1024
    """Connections that a pod accepts at the same time (memcached's -c), less 5 per thread and 8 for itself."""

    threads: Annotated[int, Field(ge=1, le=128), Format("int32")] = 4
    """Worker threads of a pod (memcached's -t)."""

    max_item_size: Size = "1Mi"
    """Largest item (memcached's -I)."""

    verbosity: Annotated[int, Field(ge=0, le=3), Format("int32")] = 0
    """How much memcached logs: 0 nothing, 1 errors, 2 commands, 3 internal state."""

    extra_args: ExtraArguments = Field(default_factory=list)
    """More arguments of memcached, one word each. What other fields decide is refused."""

    extstore: Extstore | None = None
    """Disk for the items that do not fit into `memory`."""

    resources: Resources | None = None
    """CPU and memory of the memcached container, where the derived values do not fit."""

    tls: Tls | None = None
    """Encrypted connections. Plain ones when absent."""

    auth: Auth | None = None
    """Users and passwords. Anybody who can connect may read and write when absent."""

    metrics: Metrics = Field(default_factory=Metrics)
    """Prometheus metrics of every pod."""

    service: Service = Field(default_factory=Service)
    """The Service that balances over ready pods."""

    discovery: Discovery = Field(default_factory=Discovery)
    """How clients find the pods."""

    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy)
    """Who may connect."""

    pod_disruption_budget: PodDisruptionBudget = Field(default_factory=PodDisruptionBudget)
    """How many pods a drain of nodes may take at the same time."""

    update_strategy: UpdateStrategy = Field(default_factory=UpdateStrategy)
    """How pods are replaced when a change needs new ones."""

    warm_restart: WarmRestart = Field(default_factory=WarmRestart)
    """Keep the items when memcached restarts."""

    probes: Probes = Field(default_factory=Probes)
    """How the kubelet finds out whether memcached answers."""

    affinity: Embedded | None = None
    """Where pods may run (core/v1 Affinity)."""

    node_selector: LabelMap = Field(default_factory=dict)
    """Labels of nodes that pods may run on."""

    tolerations: Annotated[list[Embedded], Field(max_length=64)] = Field(default_factory=list)
    """Taints of nodes that pods accept (core/v1 Toleration)."""

    topology_spread_constraints: Annotated[list[Embedded], Field(max_length=16)] | None = None
    """How pods spread (core/v1 TopologySpreadConstraint). When absent: over zones and nodes, as well as possible."""

    priority_class_name: Annotated[str, Field(max_length=253)] | None = None
    """Priority of the pods."""

    pod_labels: LabelMap = Field(default_factory=dict)
    """Labels added to the pods. Those that the operator sets win."""

    pod_annotations: LabelMap = Field(default_factory=dict)
    """Annotations added to the pods."""

    termination_grace_period_seconds: Annotated[int, Field(ge=0, le=3600), Format("int64")] = 30
    """Seconds that memcached has to stop."""

    paused: bool = False
    """Leave everything as it is: the operator changes nothing and only reports."""


class Memcached(
    CustomResource,
    group="cache.example.com",
    version="v1alpha1",
    short_names=["mc"],
    categories=["all"],
    scale=Scale(spec=".spec.size", status=".status.replicas", selector=".status.selector"),
    printer_columns=[
        PrinterColumn(name="Size", path=".spec.size", type="integer", description="Pods wanted"),
        PrinterColumn(name="Ready", path=".status.readyReplicas", type="integer", description="Pods that answer"),
        PrinterColumn(name="Memory", path=".status.memory", description="Memory for items in every pod"),
        PrinterColumn(name="Version", path=".status.version", description="Version that the pods run"),
        PrinterColumn(
            name="Available",
            path=".status.conditions[?(@.type=='Available')].status",
            description="Whether clients are served",
        ),
        PrinterColumn(name="Age", path=".metadata.creationTimestamp", type="date"),
    ],
    rules=[
        Rule(
            f"size(self.metadata.name) <= {MAX_NAME}",
            message=f"metadata.name: at most {MAX_NAME} characters, because pods and revisions are named after it",
        ),
        Rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            message="metadata.name: lower-case letters, digits and '-', starting with a letter (DNS-1035), "
            "because Services are named after it",
        ),
    ],
):
    """A group of memcached pods with stable names, kept running and upgraded without losing the cache."""

    spec: MemcachedSpec = Field(default_factory=MemcachedSpec)
    status: MemcachedStatus | None = None
