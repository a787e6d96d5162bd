"""Parts of the specification that say who reaches the pods, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kopf_sdk.api import Format, Model, Rule
from memcached_operator.api.v1alpha1.pods import Embedded, LabelMap

__all__ = ["Auth", "NetworkPolicy", "Service", "Tls"]

SecretName = Annotated[str, Field(min_length=1, max_length=253)]


class Service(Model):
    """The Service that balances over ready pods."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """How it is published."""

    annotations: LabelMap = Field(default_factory=dict)
    """Annotations, which many load balancers are configured by."""


class NetworkPolicy(Model):
    """Who may connect to the pods, enforced by the cluster's network."""

    enabled: bool = False
    """Make a NetworkPolicy. Without one every pod of the cluster may connect."""

    clients: Annotated[list[Embedded], Field(max_length=64)] = Field(default_factory=list)
    """Who may connect, as NetworkPolicy peers. Empty: all pods of the resource's namespace."""

    metrics_clients: Annotated[list[Embedded], Field(max_length=64)] = Field(default_factory=list)
    """Who may scrape metrics, as NetworkPolicy peers. Empty: all pods of the cluster."""


class Tls(
    Model,
    rules=[
        Rule(
            "self.clientCertificates != 'require' || has(self.operatorSecretName)",
            message="operatorSecretName is needed where client certificates are required: the operator is a client too",
            field_path=".operatorSecretName",
        )
    ],
):
    """Encrypted connections."""

    secret_name: SecretName
    """Secret with tls.crt and tls.key, and with ca.crt where clients show certificates. A new certificate in it is
    served without a restart."""

    client_certificates: Literal["none", "request", "require"] = "none"
    """Whether clients show a certificate signed by ca.crt: never, if they have one, or always."""

    operator_secret_name: SecretName | None = None
    """Secret with the operator's own client certificate (tls.crt, tls.key)."""

    plain_port: bool = False
    """Keep containerPort for plain connections and speak TLS on `port`. Otherwise containerPort speaks TLS."""

    port: Annotated[int, Field(ge=1024, le=65535), Format("int32")] = 11212
    """Port for TLS beside a plain containerPort."""


class Auth(Model):
    """Users and passwords (memcached's text protocol only)."""

    secret_name: SecretName
    """Secret whose keys are users and whose values are their passwords, at most 7; or one of type
    kubernetes.io/basic-auth. A changed Secret takes effect without a restart: to rotate, put the new user beside the
    old one, move the clients, remove the old one."""
