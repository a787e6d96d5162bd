"""Run kubectl against one kubeconfig."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from kopf_sdk.errors import SdkError

__all__ = ["Kubectl", "KubectlError"]


class KubectlError(SdkError):
    """kubectl ended with an error; `message` is what it printed."""


class Kubectl:
    """What a cluster of any kind offers to scripts and tests."""

    @property
    def kubeconfig(self) -> Path:
        """Credentials and address of the cluster."""
        raise NotImplementedError

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 300.0) -> str:  # noqa: A002 (as subprocess)
        """Run kubectl and return what it prints (timeout in seconds; a longer `--timeout=…s` of its own counts).

        Raises
        ------
        KubectlError
            It ended with an error, or not in time.
        """
        own = [float(found[1]) for word in arguments if (found := re.fullmatch(r"--timeout=(\d+)s", word))]
        timeout = max([timeout, *(seconds + 10 for seconds in own)])
        try:
            done = subprocess.run(
                [self._kubectl_program(), "--kubeconfig", str(self.kubeconfig), *arguments],
                input=input,
                env=os.environ | self._kubectl_environment(),
                text=True,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(arguments)}: no end after {timeout:.0f} s") from error
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def _kubectl_environment(self) -> dict[str, str]:
        return {}

    def _kubectl_program(self) -> str:
        return _pinned()

    def get(self, *arguments: str, timeout: float = 300.0) -> Any:
        """`kubectl get … -o json`, parsed: an object, or a list with `items`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json", timeout=timeout))

    def apply(self, manifests: str) -> str:
        """`kubectl apply` of YAML or JSON text."""
        return self.kubectl("apply", "-f", "-", input=manifests)


@functools.cache
def _pinned() -> str:
    from kopf_sdk.testing.tools import binary  # noqa: PLC0415 (slow to import)

    return str(binary("kubectl"))
