"""The time left is a guess that gets better with every build."""

import pytest

from kopf_sdk.testing.tools.estimate import Estimate, duration


def test_from_an_empty_cache_all_cpu_seconds_are_expected() -> None:
    assert Estimate([160, 80], cores=2).left() == pytest.approx(150)


def test_a_warm_cache_shows_after_the_first_build() -> None:
    estimate = Estimate([600, 600, 600], cores=2)
    cold = estimate.left()
    estimate.finished(12)
    assert estimate.left() < cold / 10


def test_a_slow_machine_shows_as_well() -> None:
    estimate = Estimate([100, 100], cores=4)
    estimate.finished(200)
    assert 100 < estimate.left() < 200


def test_the_running_build_counts_down_and_never_below_the_rest() -> None:
    estimate = Estimate([160, 80], cores=2)
    assert estimate.left(elapsed=40) == pytest.approx(110)
    assert estimate.left(elapsed=1000) == pytest.approx(50)


def test_nothing_is_left_at_the_end() -> None:
    estimate = Estimate([10], cores=2)
    estimate.finished(5)
    assert estimate.left() == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (80, "1 min 20 s"), (754, "12 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
