"""`python -m kopf_sdk` is `kopf-sdk`."""

from kopf_sdk.cli import main

main()
