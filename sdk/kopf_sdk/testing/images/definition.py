"""What an image is made of, as images.toml says it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kopf_sdk.errors import SdkError

__all__ = ["Definition", "load_definitions"]

# Ends up in paths below the image's root: never absolute, never upwards.
_Inside = Annotated[str, Field(pattern=r"^[^/.].*$")]


class Definition(BaseModel):
    """One `[images.NAME]`; the file says what the fields mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str
    version_of: str = ""
    at_least: str = ""
    suites: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    include: str = ""
    exclude: tuple[str, ...] = ()
    applets: tuple[str, ...] = ()
    links: dict[_Inside, str] = {}
    programs: dict[_Inside, str] = {}
    users: dict[str, int] = {}
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    ports: tuple[int, ...] = ()
    workdir: str = ""
    check: tuple[_Inside, ...] = ()
    compile: tuple[_Inside, ...] = ()

    def repository(self) -> str:
        """The reference without its tag."""
        return self.reference.rpartition(":")[0]

    def named(self, version: str) -> str:
        """The reference with the version filled in.

        Raises
        ------
        SdkError
            The version is older than `at_least`.
        """
        if self.at_least and _numbers(version) < _numbers(self.at_least):
            raise SdkError(f"{self.repository()}: {self.version_of} is {version}, at least {self.at_least} is needed")
        return self.reference.format(version=version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    images: dict[str, Definition]


def load_definitions(path: Path | None = None) -> dict[str, Definition]:
    """Read images.toml, with what `include` names put in.

    Raises
    ------
    SdkError
        The file is wrong; the message names the field.
    """
    path = path or Path(__file__).with_name("images.toml")
    try:
        images = _File.model_validate(tomllib.loads(path.read_text())).images
    except tomllib.TOMLDecodeError as error:
        raise SdkError(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SdkError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for name, image in images.items():
        if image.include and (image.include not in images or images[image.include].include):
            raise SdkError(f"{path}: images.{name}.include: {image.include!r} must be an image that includes no other")
        if ("{version}" in image.reference) != bool(image.version_of):
            raise SdkError(f"{path}: images.{name}: {{version}} in `reference` and `version_of` belong together")
    return {name: _including(image, images) for name, image in images.items()}


def _including(image: Definition, images: dict[str, Definition]) -> Definition:
    if not image.include:
        return image
    base = images[image.include]
    return image.model_copy(
        update={
            "suites": tuple(dict.fromkeys((*base.suites, *image.suites))),
            "packages": tuple(sorted({*base.packages, *image.packages})),
            "exclude": tuple(dict.fromkeys((*base.exclude, *image.exclude))),
            "applets": tuple(sorted({*base.applets, *image.applets})),
            "links": base.links | image.links,
            "programs": base.programs | image.programs,
            "users": base.users | image.users,
            "check": tuple(dict.fromkeys((*base.check, *image.check))),
        }
    )
