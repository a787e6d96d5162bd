"""Report on the bundle builder over the golden set: time, verdicts, defects of the usual way, official bundles.

    python tests/bench/bundle_report.py [--runs 3] [--output report.md]

Beside `kopf-sdk bundle build` (with its validation and diff) stands `operator-sdk generate bundle` plus `operator-sdk
bundle validate` on the same rendering, in the same run, alternating. Needs operator-sdk and opm in .tools/bin or on
PATH and the golden set (GOLDEN_DIR, default ../shared/golden beside the repository). Exit code 1 when a figure is not
met.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "sdk"))

from kopf_sdk.bundle import yaml  # noqa: E402
from kopf_sdk.bundle.bundle_dir import Bundle, load_bundle  # noqa: E402
from kopf_sdk.bundle.expand import ALL_NAMESPACES, expand  # noqa: E402
from kopf_sdk.bundle.grants import Grant, GrantIndex, effective_grants  # noqa: E402
from kopf_sdk.bundle.objects import Object, parse_stream  # noqa: E402
from kopf_sdk.bundle.validate.advice import RULES as ADVICE  # noqa: E402

GOLDEN = Path(os.environ.get("GOLDEN_DIR", ROOT.parent / "shared" / "golden"))
CONFIGS = ROOT / "tests" / "fixtures" / "golden"
PATH = f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


LAUNCH = """
import os, sys, time
started = time.perf_counter()
files = [(os.POSIX_SPAWN_DUP2, 2, 1)]
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=files)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - started
print([os.waitstatus_to_exitcode(status), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024])
"""
"""Starts a program and says what it took. A process of its own: the kernel counts what whoever starts a program has in
memory as that program's peak."""


def main() -> int:
    """Measure, compare, print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if not GOLDEN.is_dir():
        sys.exit(f"{GOLDEN} is missing: set GOLDEN_DIR")
    missing = [name for name in ("operator-sdk", "opm") if shutil.which(name, path=PATH) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; run `make tools`")
    charts = sorted(path.name for path in GOLDEN.iterdir() if (path / "rendered.yaml").is_file())
    with tempfile.TemporaryDirectory() as folder:
        results = [measure(name, Path(folder) / name, options.runs) for name in charts]
        text = report(results, Path(folder))
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return int(
        any(
            result["ours"]["seconds"] > result["theirs"]["seconds"] or sum(result["defects"].values())
            for result in results
        )
    )


def commands(name: str, chart: Path, folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Return our commands and operator-sdk's for a chart directory with `rendered.yaml` and `Chart.yaml`."""
    config = CONFIGS / f"{name}.yaml"
    ours = [sys.executable, "-c", "from kopf_sdk.cli import main; main()", "bundle", "build", "-", "--quiet"]
    ours += ["--chart-metadata", str(chart / "Chart.yaml"), "--output", str(folder / "ours" / "bundle")]
    ours += ["--config", str(config)] if config.is_file() else []
    generate = ["operator-sdk", "generate", "bundle", "-q", "--package", name, "--version", "1.0.0"]
    generate += ["--channels", "stable", "--output-dir", str(folder / "theirs" / "bundle")]
    check = ["operator-sdk", "bundle", "validate", str(folder / "theirs" / "bundle")]
    (folder / "theirs").mkdir(parents=True)
    return [ours], [generate, check]


def measure(name: str, folder: Path, runs: int) -> dict[str, Any]:
    """Build one chart both ways, alternating; keep the best time of each."""
    folder.mkdir(parents=True)
    rendering = GOLDEN / name / "rendered.yaml"
    ours, theirs = commands(name, GOLDEN / name, folder)
    best: dict[str, dict[str, float]] = {"ours": {}, "theirs": {}}
    for _ in range(runs):
        keep(best["ours"], timed(ours, rendering, folder, required=True))
        keep(best["theirs"], timed(theirs, rendering, folder / "theirs", required=False))
    bundle = load_bundle(folder / "ours" / "bundle")
    official = GOLDEN / name / "bundle"
    return {
        "name": name,
        **best,
        "defects": defects(bundle, rendering),
        "their_defects": defects(load_bundle(folder / "theirs" / "bundle"), rendering),
        "verdicts": verdicts(folder / "ours" / "bundle", folder),
        "official": compare(bundle, load_bundle(official)) if official.is_dir() else {},
    }


def keep(best: dict[str, float], run: Mapping[str, float]) -> None:
    for key, value in run.items():
        best[key] = min(best.get(key, value), value)


def timed(commands: list[list[str]], rendering: Path, cwd: Path, *, required: bool) -> dict[str, float]:
    """Return wall seconds, CPU seconds and peak MiB of commands run one after the other, the first fed by a pipe."""
    # An installed package has its byte code; here it goes beside the results, whatever PYTHONDONTWRITEBYTECODE says.
    cache = {"PYTHONPYCACHEPREFIX": str(cwd.parent / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    environment = {**os.environ, **cache, "PATH": PATH, "PYTHONPATH": str(ROOT / "sdk")}
    total = {"seconds": 0.0, "cpu": 0.0, "peak": 0.0}
    for number, command in enumerate(commands):
        # operator-sdk reads standard input from a pipe only.
        source = ["cat", str(rendering)] if number == 0 else ["true"]
        launch = [sys.executable, "-I", "-S", "-c", LAUNCH, *command]
        with tempfile.TemporaryFile() as output, subprocess.Popen(source, stdout=subprocess.PIPE) as feed:
            done = subprocess.run(
                launch, stdin=feed.stdout, stdout=subprocess.PIPE, stderr=output, env=environment, cwd=cwd, check=True
            )
            code, seconds, cpu, peak = json.loads(done.stdout)
            if required and code:
                output.seek(0)
                sys.exit(f"{' '.join(command)}\n{output.read().decode()}")
        total["seconds"] += seconds
        total["cpu"] += cpu
        total["peak"] = max(total["peak"], peak)
    return total


def defects(bundle: Bundle, rendering: Path) -> dict[str, int]:
    """Count the defects that the research found in generated bundles."""
    rendered = parse_stream(rendering.read_text(encoding="utf-8"))
    findings = [finding for rule in ADVICE for finding in rule(bundle)]
    rules = [finding.rule for finding in findings]
    hooks = {(obj.kind, obj.name) for obj in rendered if obj.hooks}
    certificates = {str(obj.spec.get("secretName")) for obj in rendered if obj.kind == "Certificate"}
    volumes = json.dumps(bundle.strategy.get("deployments") or [])
    cluster = [Object(item) for item in expand(bundle, version="v0", namespace="operators", targets=ALL_NAMESPACES)]
    wanted, _ = effective_grants(rendered, namespace_of(rendered), {})
    have, _ = effective_grants(cluster, "operators", {})
    index = GrantIndex(have)
    used = {str(pod.get("serviceAccountName")) for pod in pods(bundle)}
    lost = [g for g in wanted if g.account in used and not index.cover(lifted(g))]
    return {
        "no relatedImages": int(not bundle.spec.get("relatedImages")),
        "Helm labels left": rules.count("install/helm-marks"),
        "hook objects shipped": sum((m.kind, m.name) in hooks for m in bundle.manifests),
        "binding with a fixed namespace": rules.count("install/binding-namespace"),
        "volume of a dropped Certificate": sum(f'"secretName": "{name}"' in volumes for name in certificates),
        "ServiceAccount never created": rules.count("install/service-account"),
        "duplicate webhook name": rules.count("install/webhook-name"),
        "webhook without deployment": rules.count("install/webhook-deployment"),
        "rights lost": len(lost),
    }


def lifted(grant: Grant) -> Grant:
    return grant._replace(scope="") if grant.scope else grant


def namespace_of(rendered: list[Object]) -> str:
    return next(obj.namespace for obj in rendered if obj.kind == "Deployment")


def pods(bundle: Bundle) -> list[Mapping[str, Any]]:
    return [((d.get("spec") or {}).get("template") or {}).get("spec") or {} for d in bundle.deployments]


def verdicts(directory: Path, cwd: Path) -> dict[str, str]:
    """Return what operator-sdk says of our bundle and opm of a catalog with it."""
    suite = ["--select-optional", "suite=operatorframework", "-o", "json-alpha1"]
    done = subprocess.run(
        [shutil.which("operator-sdk", path=PATH) or "", "bundle", "validate", str(directory), *suite],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    outputs = json.loads(done.stdout)["outputs"] or []
    kinds = [item["type"] for item in outputs]
    catalog = cwd / "catalog"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sdk")}
    build = [sys.executable, "-c", "from kopf_sdk.cli import main; main()", "catalog", "build", str(directory)]
    subprocess.run(
        [*build, "--image", "example.com/{package}:v{version}", "--output", str(catalog)],
        check=True,
        env=environment,
        capture_output=True,
    )
    opm = subprocess.run(
        [shutil.which("opm", path=PATH) or "", "validate", str(catalog)], capture_output=True, text=True, check=False
    )
    warnings = {item["message"] for item in outputs if item["type"] == "warning"}
    return {
        "operator-sdk": f"{kinds.count('error')} errors, {len(warnings)} warnings",
        "opm validate": "passed" if opm.returncode == 0 else opm.stderr.strip(),
    }


def compare(ours: Bundle, official: Bundle) -> dict[str, str]:
    """Say in what our bundle and the project's own differ, by rights, webhooks, CRDs and descriptors."""
    rights = {}
    for label, bundle in (("ours", ours), ("official", official)):
        cluster = [Object(item) for item in expand(bundle, version="v0", namespace="operators", targets=ALL_NAMESPACES)]
        rights[label] = {g._replace(account="") for g in effective_grants(cluster, "operators", {})[0] if not g.scope}
    descriptors = [
        sum(len(entry.get("specDescriptors") or ()) for entry in bundle.owned) for bundle in (ours, official)
    ]
    hooks = [sorted(str(webhook.get("webhookPath")) for webhook in bundle.webhooks) for bundle in (ours, official)]
    crds = [sorted({str(entry.get("name")) for entry in bundle.owned}) for bundle in (ours, official)]
    covered = {label: GrantIndex(grants) for label, grants in rights.items()}
    more = [g for g in rights["ours"] if not covered["official"].cover(g)]
    less = [g for g in rights["official"] if not covered["ours"].cover(g)]
    return {
        "CRDs": "same"
        if crds[0] == crds[1]
        else f"ours {sorted(set(crds[0]) - set(crds[1]))}, official {sorted(set(crds[1]) - set(crds[0]))}",
        "webhooks": "same" if hooks[0] == hooks[1] else f"ours {hooks[0]}, official {hooks[1]}",
        "rights": "same"
        if not more and not less
        else f"{len(more)} only ours{examples(more)}, {len(less)} only official{examples(less)}",
        "spec descriptors": f"{descriptors[0]} ours, {descriptors[1]} official",
    }


def examples(grants: list[Grant]) -> str:
    shown = [f"{g.verb} {g.target}" for g in sorted(grants)[:3]]
    return f" ({', '.join(shown)}{', …' if len(grants) > 3 else ''})" if shown else ""


def report(results: list[dict[str, Any]], folder: Path) -> str:
    """Return the tables."""
    del folder
    lines = [
        "## Time and memory",
        "",
        "| chart | ours s | operator-sdk s | ours CPU s | operator-sdk CPU s | ours MiB | operator-sdk MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        ours, theirs = r["ours"], r["theirs"]
        figures = (ours["seconds"], theirs["seconds"], ours["cpu"], theirs["cpu"], ours["peak"], theirs["peak"])
        lines.append(f"| {r['name']} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")
    lines += [
        "",
        "## Defects: ours / operator-sdk generate bundle",
        "",
    ]
    names = list(results[0]["defects"])
    lines += ["| defect | " + " | ".join(r["name"] for r in results) + " |", "|---|" + "---|" * len(results)]
    for name in names:
        cells = [f"{r['defects'][name]} / {r['their_defects'][name]}" for r in results]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Verdicts on our bundles",
        "",
        "| chart | operator-sdk, suite=operatorframework | opm validate |",
        "|---|---|---|",
    ]
    lines += [f"| {r['name']} | {r['verdicts']['operator-sdk']} | {r['verdicts']['opm validate']} |" for r in results]
    lines += ["", "## Beside the official bundles", ""]
    for r in results:
        lines += (
            [f"- {r['name']}: " + "; ".join(f"{key}: {value}" for key, value in r["official"].items())]
            if r["official"]
            else []
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    assert yaml  # the import is what makes the first run warm
    sys.exit(main())
