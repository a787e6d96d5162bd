"""What people read of a report."""

from __future__ import annotations

import pytest

from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.report import Report


def test_a_hint_is_given_once_and_indented(capsys: pytest.CaptureFixture[str]) -> None:
    notices = [Notice(Level.WARNING, "sample", f"no {name}", None, "Name one:\nsamples: [a]") for name in "ab"]

    Report("x", notices=notices).print()

    assert capsys.readouterr().out.splitlines()[:4] == [
        "warning [sample] no a",
        "  Name one:",
        "  samples: [a]",
        "warning [sample] no b",
    ]
