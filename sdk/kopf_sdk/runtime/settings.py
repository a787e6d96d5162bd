"""The operator's settings: flags, environment variables, a mounted file, defaults, in this order of precedence."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

import yaml

from kopf_sdk.errors import SdkError

__all__ = ["Settings", "setting"]

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
CALLER = re.compile(
    r"(mutatingwebhookconfigurations|validatingwebhookconfigurations|customresourcedefinitions)/[a-z0-9.-]+"
)
"""What has the API server call a webhook, and says whom it may trust."""


def setting(default: Any, help_: str, *, unit: str = "", env: str = "", choices: Sequence[str] = ()) -> Any:
    """Declare one setting of a `Settings` class: its flag and its key in the file follow from the field's name.

    Parameters
    ----------
    default
        Its value when nobody sets it. The field's annotation says the type: str, int, float or bool.
    help_
        One sentence for `--help`.
    unit
        What a number counts.
    env
        The environment variable, where it is not the field's name in capitals.
    choices
        The only values it may have.
    """
    return dataclasses.field(
        default=default, metadata={"help": help_, "unit": unit, "env": env, "choices": tuple(choices)}
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set about any operator; a subclass adds its own with `setting`.

    Addresses are `host:port` or `:port`; `0` turns the server off.
    """

    kubeconfig: str = setting(
        "", "Kubeconfig file; empty: the pod's service account, else $KUBECONFIG or ~/.kube/config.", env="-"
    )
    watch_namespaces: str = setting(
        "",
        "Namespaces to look after: empty for all, or names separated by commas; `own` is the operator's namespace.",
        env="WATCH_NAMESPACE",
    )
    watch_selector: str = setting(
        "",
        "Labels of the resources to look after, like `shard=a` or `shard notin (a,b)`; empty for all. Operators can "
        "share a cluster when no resource is selected by two of them.",
    )
    namespace: str = setting("", "The operator's namespace; empty: the service account's.", env="POD_NAMESPACE")
    workers: int = setting(8, "Resources reconciled at a time, per controller.")
    resync_period: float = setting(
        600.0, "Every resource is reconciled once per this time, from memory.", unit="seconds"
    )
    request_timeout: float = setting(30.0, "Longest wait for an answer of the API server.", unit="seconds")
    grace_period: float = setting(
        20.0, "After SIGTERM, time for the reconciliations in progress. Less than the pod's.", unit="seconds"
    )

    leader_elect: bool = setting(False, "Have one active replica, elected through a Lease.")
    leader_election_id: str = setting("", "Name of the Lease; empty: derived from the first controller.")
    leader_election_namespace: str = setting("", "Namespace of the Lease; empty: the operator's.")
    lease_duration: float = setting(
        15.0, "Standbys take over this long after the last renewal they saw.", unit="seconds"
    )
    renew_deadline: float = setting(10.0, "The leader stops this long after its last renewal.", unit="seconds")
    retry_period: float = setting(2.0, "Between two tries to get or renew the lease.", unit="seconds")

    health_probe_bind_address: str = setting(":8081", "Where /healthz and /readyz are served, over HTTP.")
    metrics_bind_address: str = setting(":8443", "Where /metrics is served.")
    metrics_secure: bool = setting(
        True,
        "Serve metrics over HTTPS to those only who may `get` the non-resource URL /metrics; else plain HTTP to all.",
    )
    metrics_cert_dir: str = setting("", "Directory with the certificate for metrics; empty: a self-signed one.")
    enable_webhooks: bool = setting(True, "Serve the webhooks that the operator has.")
    webhook_bind_address: str = setting(":9443", "Where webhooks are served, over HTTPS.")
    webhook_cert_dir: str = setting(
        "/tmp/k8s-webhook-server/serving-certs",  # noqa: S108 (controller-runtime's and OLM's place)
        "Directory with the certificate for webhooks.",
    )
    webhook_secret: str = setting(
        "",
        "Secret with a CA and a certificate that the operator makes and renews itself; empty: somebody else fills the "
        "directory.",
    )
    webhook_service: str = setting("", "Service before the webhooks, for the host names in that certificate.")
    webhook_configurations: str = setting(
        "",
        "Own webhook configurations, and own CRDs that a webhook converts, whose caBundle follows that CA, separated "
        "by commas, like validatingwebhookconfigurations/NAME.",
    )

    operator_condition_name: str = setting(
        "", "OperatorCondition in which OLM is told whether the operator may be upgraded; empty: not installed by OLM."
    )

    log_level: str = setting("info", "What is logged.", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("text", "How it is logged.", choices=("text", "json"))

    @classmethod
    def load(cls, argv: Sequence[str] | None = None) -> Self:
        """Read the settings of this process; a wrong one ends it with exit code 2 and a line that says where it is set.

        Parameters are those of `read`.
        """
        try:
            return cls.read(argv)
        except SdkError as error:
            cls._parser().exit(2, f"error: {error.message}\n" + (f"{error.hint}\n" if error.hint else ""))

    @classmethod
    def read(cls, argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from everywhere.

        Parameters
        ----------
        argv
            Arguments without the program's name; None for this process's own. `--config FILE` (or CONFIG_FILE) names a
            YAML mapping from field names in camelCase, snake_case or flag spelling to values.
        environ
            The environment; None for this process's own.

        Raises
        ------
        SdkError
            If a value makes no sense; the message names where it was set.
        SystemExit
            For `--help` (0) and unknown flags (2).
        """
        environ = os.environ if environ is None else environ
        flags = cls._parser().parse_args(argv)
        path = flags.config or environ.get("CONFIG_FILE") or ""
        from_file = _read_file(Path(path), {field.name for field in dataclasses.fields(cls)}) if path else {}
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            variable = _variable(field)
            if (given := getattr(flags, field.name)) is not None:
                values[field.name] = _convert(given, types[field.name], field, _flag(field))
            elif variable and variable in environ:
                values[field.name] = _convert(
                    environ[variable], types[field.name], field, f"environment variable {variable}"
                )
            elif from_file.get(field.name) is not None:
                values[field.name] = _convert(from_file[field.name], types[field.name], field, f"{path}: {field.name}")
        settings = cls(**values)
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse values that do not go together.

        Raises
        ------
        SdkError
        """
        if self.workers < 1:
            raise SdkError(f"workers: {self.workers} is less than 1")
        for name in ("resync_period", "request_timeout", "retry_period"):
            if not getattr(self, name) > 0:  # also refuses nan
                raise SdkError(f"{name.replace('_', '-')}: must be more than 0 seconds")
        if not self.grace_period >= 0:
            raise SdkError("grace-period: must not be less than 0 seconds")
        if not self.retry_period < self.renew_deadline < self.lease_duration:
            raise SdkError(
                "retry-period, renew-deadline and lease-duration must grow in this order, "
                f"not {self.retry_period}, {self.renew_deadline}, {self.lease_duration} seconds",
                hint="client-go's 2, 10 and 15 seconds are a good choice.",
            )
        if self.webhook_secret and not self.webhook_service:
            raise SdkError(
                "webhook-secret: a certificate needs the host name of the server",
                hint="Set webhook-service to the Service before the webhooks.",
            )
        for configuration in filter(None, self.webhook_configurations.split(",")):
            if not CALLER.fullmatch(configuration):
                raise SdkError(
                    f"webhook-configurations: {configuration!r} is no webhook configuration",
                    hint="Write it as validatingwebhookconfigurations/NAME, mutatingwebhookconfigurations/NAME or "
                    "customresourcedefinitions/NAME.",
                )
        for name in ("health_probe_bind_address", "metrics_bind_address", "webhook_bind_address"):
            address(getattr(self, name), name.replace("_", "-"))

    @classmethod
    def _parser(cls) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            description="Flags go before environment variables (in brackets), these before the --config file."
        )
        parser.add_argument("--config", metavar="FILE", help="YAML file with settings. [CONFIG_FILE]")
        types = get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kind = types[field.name]
            meta = field.metadata
            default = str(field.default).lower() if kind is bool else field.default
            unit = f" {meta['unit']}" if meta["unit"] else ""
            about = f"{meta['help']} Default: {default if default != '' else 'empty'}{unit}."
            if variable := _variable(field):
                about += f" [{variable}]"
            options: dict[str, Any] = {"help": about.replace("%", "%%"), "default": None, "dest": field.name}
            if kind is bool:
                options |= {"nargs": "?", "const": "true", "metavar": "true|false"}
            else:
                options["metavar"] = "|".join(meta["choices"]) or (meta["unit"] or kind.__name__).upper()
            parser.add_argument(_flag(field), **options)
        return parser


def address(text: str, name: str) -> tuple[str, int] | None:
    """Read a bind address; None when the server is off.

    Raises
    ------
    SdkError
        If it is none.
    """
    if text in ("", "0"):
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise SdkError(f"{name}: {text!r} is not an address", hint="Give `:port`, `host:port`, or 0 to turn it off.")
    return host.strip("[]"), int(port)


def _flag(field: dataclasses.Field[Any]) -> str:
    return "--" + field.name.replace("_", "-")


def _variable(field: dataclasses.Field[Any]) -> str:
    """Return the environment variable of a setting; empty where it has none."""
    env = str(field.metadata["env"])
    return "" if env == "-" else env or field.name.upper()


def _convert(value: Any, kind: type, field: dataclasses.Field[Any], where: str) -> Any:
    if isinstance(value, (list, dict)):
        raise SdkError(f"{where}: must be one value", hint="Write several of them as text, separated by commas.")
    text = ("true" if value else "false") if isinstance(value, bool) else str(value).strip()
    if kind is bool:
        if text.lower() in TRUE or text.lower() in FALSE:
            return text.lower() in TRUE
        raise SdkError(f"{where}: {text!r} is neither true nor false")
    choices = field.metadata["choices"]
    if choices and text not in choices:
        raise SdkError(f"{where}: {text!r} is not one of {', '.join(choices)}")
    try:
        return kind(text)
    except ValueError:
        unit = f" of {field.metadata['unit']}" if field.metadata["unit"] else ""
        raise SdkError(f"{where}: {text!r} is not a number{unit}") from None


def _read_file(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SdkError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SdkError(f"{path}: not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SdkError(f"{path}: must be a mapping from settings to values")
    values = {_snake(str(key)): value for key, value in content.items()}
    if unknown := sorted(set(values) - known):
        raise SdkError(f"{path}: unknown setting {unknown[0]}", hint=f"Known ones: {', '.join(sorted(known))}.")
    return values


def _snake(name: str) -> str:
    """Turn `watchNamespaces` and `watch-namespaces` into `watch_namespaces`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).replace("-", "_")
