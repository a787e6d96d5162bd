"""What a chart says about itself, as the CSV says it."""

from __future__ import annotations

import pytest

from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.config import Config
from kopf_sdk.bundle.metadata import gather_metadata


@pytest.mark.parametrize(
    ("home", "provider"),
    [
        ("https://github.com/example/operator", "example"),
        ("https://www.example.com/operator", "example.com"),
        ("https://github.com", "github.com"),
        ("", "Op"),
    ],
)
def test_who_provides_a_chart_without_maintainers(home: str, provider: str) -> None:
    chart = Chart({"name": "op", "version": "1.0.0", "home": home})

    assert gather_metadata(chart, Config()).provider["name"] == provider
