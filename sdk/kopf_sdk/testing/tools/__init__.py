"""The programs that clusters, charts and bundles are tested with: pinned as Go modules, built once per user."""

from kopf_sdk.testing.tools.build import binary, ensure
from kopf_sdk.testing.tools.pins import Pins, Tool, load_pins

__all__ = ["Pins", "Tool", "binary", "ensure", "load_pins"]
