"""The options of every command that works on a cluster."""

from __future__ import annotations

import click

from kopf_sdk.testing.cluster.current import Which

__all__ = ["name_option", "output_option", "which_option", "yes_option"]

name_option = click.option("--name", default="dev", show_default=True, help="Which local cluster.")
which_option = click.option(
    "--cluster",
    "which",
    type=click.Choice([which.value for which in Which]),
    default=Which.LOCAL.value,
    show_default=True,
    envvar="CLUSTER",
    show_envvar=True,
    help="A local cluster, or the one of your kubeconfig's current context.",
)
yes_option = click.option("--yes", is_flag=True, help="Use the current context without asking.")
output_option = click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
