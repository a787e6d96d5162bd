"""Prometheus metrics of one memcached, served beside it in its pod (`python -m memcached_operator.exporter`).

Runs in every pod: imports neither the runtime nor pydantic, so that it stays small.
"""
