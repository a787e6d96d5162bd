"""Where the files of a kind are, with one API group in the project and with several."""

from __future__ import annotations

from kopf_sdk.scaffold.project import Api, Project

__all__ = ["CONTROLLER", "RESOURCE", "dotted", "packages", "paths"]

RESOURCE = ("types.py", "sample.yaml")
"""Templates of what is defined."""
CONTROLLER = ("controller.py", "test_controller.py")
"""Templates of what is done about it."""


def paths(project: Project, api: Api) -> dict[str, str]:
    """Return the path of each template of a kind, below the project's folder. The keys stay when the layout changes."""
    group = f"{api.package}/" if project.multigroup else ""
    prefix = f"{api.package}_" if project.multigroup else ""
    found: dict[str, str] = {}
    if api.resource:
        found["types.py"] = f"api/{group}{api.version}/{api.module}.py"
        found["sample.yaml"] = f"config/samples/{api.package}_{api.version}_{api.module}.yaml"
    if api.controller:
        found["controller.py"] = f"controllers/{group}{api.module}.py"
        found["test_controller.py"] = f"tests/test_{prefix}{api.module}.py"
    if api.webhooks:
        found["webhook.py"] = f"webhooks/{group}{api.module}_{api.version}.py"
    return found


def packages(project: Project) -> dict[str, str]:
    """Return the packages of the modules above, as path of their `__init__.py` → docstring."""
    found = {"api/__init__.py": "The types of this project's resources."}
    for api in project.apis:
        if project.multigroup:
            found[f"api/{api.package}/__init__.py"] = f"{project.group(api)}."
            if api.controller:
                found[f"controllers/{api.package}/__init__.py"] = f"Controllers of {project.group(api)}."
            if api.webhooks:
                found[f"webhooks/{api.package}/__init__.py"] = f"Webhooks of {project.group(api)}."
        group = f"{api.package}/" if project.multigroup else ""
        found[f"api/{group}{api.version}/__init__.py"] = f"{project.group(api)}/{api.version}."
    return found


def dotted(path: str) -> str:
    """Return the module name of a path."""
    return path.removesuffix(".py").replace("/", ".")
