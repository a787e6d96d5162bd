"""File-based catalogs: bundles in channels, the upgrade edges between them, computed, checked and drawn."""
