"""The chart, installed with Helm."""
