"""The Memcached operator: turns a `Memcached` resource into memcached pods that clients can hash over."""

__version__ = "0.1.0"
