"""What a chart makes up anew with every rendering: passwords, keys, times. A bundle has the same one for everybody."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice

__all__ = ["random_content"]

# Functions of Helm's templates whose result is another one each time.
_RANDOM = re.compile(
    r"\{\{[^}]*(?<![\w.$-])(rand(?:AlphaNum|Alpha|Ascii|Numeric|Bytes|Int)|gen(?:PrivateKey|CA|SelfSignedCert|SignedCert)\w*"
    r"|htpasswd|bcrypt|uuidv4|shuffle|now)\b"
)


def random_content(fates: Collection[Fate], chart: Chart) -> Iterator[Notice]:
    """Yield a warning for every file and every Deployment whose template asks for something random."""
    for fate in fates:
        kept = fate.disposition is Disposition.FILE or (
            fate.disposition is Disposition.CSV and fate.ref.kind == "Deployment"
        )
        if not kept or not fate.source:
            continue
        found = _RANDOM.search(chart.template(fate.source))
        if found:
            message = (
                f"its template can call {found[1]}: then every build makes another bundle, and all installations get "
                f"what was made up for this one ({fate.source})"
            )
            hint = "Set the value that the chart would use instead, patch the field away, or drop the object."
            yield Notice(Level.WARNING, "random", message, fate.ref, hint)
