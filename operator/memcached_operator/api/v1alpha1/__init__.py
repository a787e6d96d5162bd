"""cache.example.com/v1alpha1."""

from memcached_operator.api.v1alpha1.memcached import Memcached, MemcachedSpec, MemcachedStatus

__all__ = ["Memcached", "MemcachedSpec", "MemcachedStatus"]
