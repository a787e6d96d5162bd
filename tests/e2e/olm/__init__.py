"""What OLM does with our bundles and other people's; a package, so that its cluster ends with its tests."""
