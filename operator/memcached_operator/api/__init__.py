"""The kinds that this operator serves, one package per version."""
