"""ElastiCache's auto-discovery for clients that know it; a process of its own beside the cache."""
