#!/usr/bin/env bash
# Writes the two lock files: versions and hashes, never the address of an index.
#   dev.txt       everything `make venv` installs
#   operator.txt  what the operator's image holds: the SDK's extra `runtime`, at dev.txt's versions
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate "$@"; }

compile --all-extras sdk/pyproject.toml --group pyproject.toml:dev --output-file requirements/dev.txt
python3 - <<'PYTHON' | compile - --constraint requirements/dev.txt --output-file requirements/operator.txt
import tomllib
from pathlib import Path
print("\n".join(tomllib.loads(Path("sdk/pyproject.toml").read_text())["project"]["optional-dependencies"]["runtime"]))
PYTHON
