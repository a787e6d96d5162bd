"""Objects brought to a cluster by server-side apply, as one field manager."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from kopf_sdk.testing.cluster.kubectl import Kubectl, KubectlError

__all__ = ["apply"]

_COMMAND = ("apply", "--server-side", "--force-conflicts", "--field-manager=kopf-sdk", "--filename=-")
_ATTEMPTS = 20


def apply(cluster: Kubectl, *objects: Mapping[str, Any]) -> None:
    """Apply objects; once more, after a moment, while kinds that were just defined are not served yet.

    Raises
    ------
    KubectlError
        The API server refused one of them.
    """
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    for attempt in range(_ATTEMPTS):
        try:
            cluster.kubectl(*_COMMAND, input=manifests)
            return
        except KubectlError as error:
            unknown = any(sign in error.message for sign in ("no matches for kind", "not find the requested"))
            if attempt == _ATTEMPTS - 1 or not unknown:
                raise
            time.sleep(0.5)
