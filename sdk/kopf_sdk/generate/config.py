"""What `kopf-sdk generate` reads of a project: `[tool.kopf-sdk]` in its pyproject.toml, and the classes named there."""

from __future__ import annotations

import importlib
import sys
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kopf_sdk.api import CustomResource
from kopf_sdk.errors import SdkError

__all__ = ["Project", "load_project"]

_EXAMPLE = '[tool.kopf-sdk]\nresources = ["my_operator.api.v1alpha1:Memcached"]'


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    resources: list[str]
    controllers: str | None = None
    chart: Path | None = None
    docs: Path | None = None
    crds: Path | None = None


class Project:
    """A project folder and what its pyproject.toml says about generated files.

    Parameters
    ----------
    root
        The folder with pyproject.toml.
    settings
        The table `[tool.kopf-sdk]`.

    Attributes
    ----------
    chart
        The Helm chart that gets CRD and RBAC templates, or None.
    docs
        The Markdown file of the API reference, or None.
    crds
        The folder for plain CRD manifests, or None.
    controllers_source
        The module that declares the controllers, or None: then no permissions are generated.
    """

    def __init__(self, root: Path, settings: _Settings) -> None:
        self.root = root
        self.source = root / "pyproject.toml"
        self.chart = settings.chart and root / settings.chart
        self.docs = settings.docs and root / settings.docs
        self.crds = settings.crds and root / settings.crds
        self.controllers_source = settings.controllers and settings.controllers.partition(":")[0]
        self._settings = settings

    def resources(self) -> list[type[CustomResource]]:
        """Import the kinds. Raises SdkError naming the entry that is wrong."""
        found = []
        for index, reference in enumerate(self._settings.resources):
            where = f"{self.source}: tool.kopf-sdk.resources[{index}]"
            value = self._import(reference, where)
            if not (isinstance(value, type) and issubclass(value, CustomResource)):
                raise SdkError(
                    f"{where}: {reference} is no subclass of CustomResource", hint="name the class of a kind"
                )
            found.append(value)
        return found

    def controllers(self) -> list[Any]:
        """Import the controllers: a list of them, or a function that makes it. Empty when the project names none."""
        if self._settings.controllers is None:
            return []
        where = f"{self.source}: tool.kopf-sdk.controllers"
        value = self._import(self._settings.controllers, where)
        if isinstance(value, Callable):  # type: ignore[arg-type]  # collections.abc.Callable is a class at run time
            try:
                value = value()
            except SdkError:
                raise
            except Exception as error:
                called = f"{self._settings.controllers} failed: {self._problem(error)}"
                raise SdkError(f"{where}: {called}", hint="correct the function") from error
        from kopf_sdk.runtime import Controller  # noqa: PLC0415  # types alone need no Kopf

        found = list(value) if isinstance(value, (list, tuple)) else [value]
        if others := [one for one in found if not isinstance(one, Controller)]:
            raise SdkError(
                f"{where}: {self._settings.controllers} gives {others[0]!r}, which is no Controller",
                hint="name a Controller, a list of them, or a function that returns one or the other",
            )
        return found

    def _import(self, reference: str, where: str) -> Any:
        module, separator, name = reference.partition(":")
        if not separator or not name:
            raise SdkError(f"{where}: {reference!r} names no object", hint="write it as package.module:Name")
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        try:
            return getattr(importlib.import_module(module), name)
        except AttributeError as error:
            raise SdkError(f"{where}: the module {module} has no {name}", hint="define it, or name another") from error
        except ModuleNotFoundError as error:
            raise SdkError(
                f"{where}: the module {error.name} cannot be imported",
                hint=f"install the project into this Python ({sys.executable} -m pip install --editable .)",
            ) from error
        except SdkError:
            raise
        except Exception as error:
            problem = self._problem(error)
            raise SdkError(f"{where}: importing {module} failed: {problem}", hint="correct the module") from error

    def _problem(self, error: Exception) -> str:
        """Return what an error says, and the last line of the project that led to it."""
        lines = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(self.root)]
        place = f" ({Path(lines[-1].filename).relative_to(self.root)}, line {lines[-1].lineno})" if lines else ""
        return f"{type(error).__name__}: {error}{place}"


def load_project(root: Path) -> Project:
    """Read a project's settings.

    Raises
    ------
    SdkError
        There is no pyproject.toml, it is no TOML, or the table is missing or wrong.
    """
    source = root / "pyproject.toml"
    try:
        document = tomllib.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SdkError(
            f"{source} does not exist", hint="go to the project's folder, or name it with --project"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SdkError(f"{source} is no TOML: {error}", hint="correct the line named") from error
    table = document.get("tool", {}).get("kopf-sdk")
    if table is None:
        raise SdkError(f"{source} has no table [tool.kopf-sdk]", hint=f"say what to generate from:\n{_EXAMPLE}")
    try:
        settings = _Settings.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(step) for step in ("tool", "kopf-sdk", *first["loc"]))
        known = ", ".join(field.alias or name for name, field in _Settings.model_fields.items())
        raise SdkError(f"{source}: {path}: {first['msg']}", hint=f"the table knows {known}") from error
    return Project(root, settings)
