"""The value with which a chart leaves an object out."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from kopf_sdk.bundle.chart import read_chart
from kopf_sdk.bundle.fate import Disposition, Fate
from kopf_sdk.bundle.guards import hiding_value, with_values
from kopf_sdk.bundle.objects import Ref

JOB = "{{- if .Values.hooks.migrate }}\napiVersion: batch/v1\nkind: Job\n{{- end }}\n"


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("if .Values.a.b", ("a.b", False)),
        ("if not $.Values.a", ("a", True)),
        ("if and .Values.a (.Values.a.b)", ("a.b", False)),
        ('if eq .Values.a "x"', None),
        ("if or .Values.a .Values.b", None),
        ("range .Values.a", None),
    ],
)
def test_conditions(condition: str, found: tuple[str, bool] | None) -> None:
    assert hiding_value(f"{{{{- {condition} -}}}}\nkind: Job\n{{{{- end }}}}\n", "Job") == found


def test_the_innermost_condition_around_all_objects_of_the_kind_counts() -> None:
    text = (
        "{{/* if .Values.comment */}}{{ if .Values.outer }}{{ if .Values.closed }}x{{ end }}\nkind: Job\n---\n"
        "{{ if .Values.one }}\nkind: Job\n{{ else }}{{ with .Values.x }}\nkind: Pod\n{{ end }}{{ end }}{{ end }}"
    )

    assert hiding_value(text, "Job") == ("outer", False)
    assert hiding_value(text, "Pod") == ("outer", False)
    assert hiding_value(text, "Service") is None


@pytest.mark.parametrize("packed", [False, True])
def test_the_way_out_names_the_value(tmp_path: Path, *, packed: bool) -> None:
    chart = tmp_path / "op"
    templates = chart / "charts" / "sub" / "templates"
    templates.mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{name: op, version: 1.0.0}")
    (templates / "job.yaml").write_text(JOB)
    if packed:
        with tarfile.open(tmp_path / "op.tgz", "w:gz") as archive:
            archive.add(chart, "op")
    fate = Fate(Ref("Job", "x"), Disposition.NO_PLACE, source="op/charts/sub/templates/job.yaml", remedies=("a", "b"))

    changed = with_values(fate, read_chart(tmp_path / "op.tgz" if packed else chart))

    assert changed.remedies[0] == "a"
    assert changed.remedies[1].startswith("values:\n  sub: {hooks: {migrate: false}}  # ")
