"""What `make demo` shows is what `make test` proves."""

from __future__ import annotations

import pytest

from memcached_demo import Demo

pytestmark = pytest.mark.node


def test_every_step_of_the_demo_works_twice_in_a_row(installed: Demo) -> None:
    for _ in range(2):
        installed.create()
        installed.use()
        installed.scale()
        installed.heal()
