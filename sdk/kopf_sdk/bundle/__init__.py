"""From any operator's Helm chart to an OLM bundle and catalog; see docs/bundle.md.

The way of an object: `render` (Helm) → `objects` → `convert`, which asks `rbac`, `webhooks`, `certificates` and others
for its fate → `csv` and `files` → `validate` and `diff`. Only `build`, `output`, `registry` and the command modules
touch anything outside.

A build of a small chart is mostly imports. So pydantic loads only for a bundle.yaml, the rest when its command runs,
and dataclasses that nobody compares or prints go without the methods for it.
"""
