"""Real OLM on a cluster, and bundles run by it; see docs/olm.md.

`install` brings OLM there from its own chart, `run` has it install a bundle out of a catalog made for the purpose,
`watch` tells what it waits for in OLM's own words, `cleanup` and `uninstall` take things away again. What decides is in
`modes`, `refusals`, `view` and `pods`: pure functions.
"""

from kopf_sdk.olm.cleanup import Removed, cleanup
from kopf_sdk.olm.install import install_olm
from kopf_sdk.olm.modes import InstallMode
from kopf_sdk.olm.run import Installed, run_bundle, upgrade_bundle
from kopf_sdk.olm.status import OlmStatus, olm_status
from kopf_sdk.olm.uninstall import uninstall_olm
from kopf_sdk.olm.watch import InstallFailedError, Watch

__all__ = [
    "InstallFailedError",
    "InstallMode",
    "Installed",
    "OlmStatus",
    "Removed",
    "Watch",
    "cleanup",
    "install_olm",
    "olm_status",
    "run_bundle",
    "uninstall_olm",
    "upgrade_bundle",
]
