"""The built tools come first on PATH, for the code under test as well."""

from __future__ import annotations

import os

import pytest

from integration.bundle.tools import BUILT_TOOLS


@pytest.fixture(autouse=True)
def tools_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BUILT_TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
