"""Operators in Python as good as operators in Go: models, runtime, generators, bundles, a local cluster.

`kopf_sdk.api` and `kopf_sdk.runtime` are what an operator imports; the other packages are tools for its author.
"""

__version__ = "0.1.0"
