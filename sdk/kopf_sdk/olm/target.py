"""Which cluster a command works on: a local one by its name, or the kubeconfig's current one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import Cluster, CurrentCluster, Which
from kopf_sdk.testing.cluster.options import name_option, which_option, yes_option

__all__ = ["target", "target_options", "timeout_option"]

F = TypeVar("F", bound=Callable[..., Any])


def target_options(command: F) -> F:
    """Give a command --name, --cluster and --yes."""
    return functools.reduce(lambda made, option: option(made), (yes_option, which_option, name_option), command)


def target(which: str, name: str, *, yes: bool) -> Cluster | CurrentCluster:
    """Return the cluster, which is there.

    Raises
    ------
    SdkError
        There is no such local cluster, or nobody agreed to use the current one.
    """
    if Which(which) is Which.CURRENT:
        current = CurrentCluster()
        current.confirm(assume_yes=yes, ask=click.confirm if sys.stdin.isatty() else None)
        current.check()
        return current
    local = Cluster(name)
    if local.status().state != "ready":
        raise SdkError(
            f"there is no local cluster '{name}' that is ready",
            hint=f"kopf-sdk cluster up --name {name}; or --cluster current for the one of your kubeconfig",
        )
    return local


def timeout_option(seconds: float) -> Callable[[F], F]:
    """Return the option `--timeout` with its default."""
    return click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long OLM may take.",
    )
