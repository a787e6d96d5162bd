"""Real parts to test operators with: the pinned programs, images without a registry, a cluster of plain processes."""
