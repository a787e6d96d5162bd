"""What a chart makes up anew with every rendering."""

from __future__ import annotations

from pathlib import Path

import pytest

from kopf_sdk.bundle.chance import random_content
from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.fate import Disposition, Fate
from kopf_sdk.bundle.objects import Ref


@pytest.mark.parametrize(
    ("template", "disposition", "codes"),
    [
        ("data: {password: {{ .Values.p | default (randAlphaNum 10) | b64enc }}}", Disposition.FILE, ["random"]),
        ('{{- $ca := genCA "x" 365 }}', Disposition.FILE, ["random"]),
        ("{{- $ca := genCA 1 }}", Disposition.LEFT_OUT, []),
        ("annotations: {rollme: {{ randAlphaNum 5 | quote }}}", Disposition.CSV, ["random"]),
        ("known: {{ .Values.now.known }} # randAlphaNum, now", Disposition.FILE, []),
    ],
)
def test_random_content(tmp_path: Path, template: str, disposition: Disposition, codes: list[str]) -> None:
    kind = "Deployment" if disposition is Disposition.CSV else "Secret"
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.yaml").write_text(template)
    fate = Fate(Ref(kind, "a"), disposition, source="op/templates/a.yaml")

    notices = list(random_content([fate], Chart({}, {}, str(tmp_path))))

    assert [notice.code for notice in notices] == codes
