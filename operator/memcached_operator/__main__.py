"""`python -m memcached_operator`: reads the settings, runs the manager until SIGTERM, exits with what it returns."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kopf_sdk.runtime import Manager, Reader
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.certificates import Certificates
from memcached_operator.controller import controller
from memcached_operator.operand import OperatorSettings
from memcached_operator.webhooks import webhooks

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the operator and exit."""
    settings = OperatorSettings.load(argv)
    certificates = Certificates(lambda namespace, name: reader().primary.get(namespace, name) is not None)
    memcacheds = controller(settings.operand, certificates)

    def reader() -> Reader[Memcached]:
        return manager.reader(memcacheds)

    manager = Manager(settings, [memcacheds], webhooks=webhooks(reader))
    manager.metrics.registry.register(certificates)
    sys.exit(manager.run())


if __name__ == "__main__":
    main()
