"""Documentation leads somewhere: links to files and headings, and commands with the options that they have."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from kopf_sdk.cli import _root

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "sdk" / "README.md"])
MAKEFILES = [ROOT / "Makefile", ROOT / "sdk/kopf_sdk/scaffold/templates/project/Makefile.jinja"]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


def code(page: Path) -> list[str]:
    """Return the lines of code of a page: in fences, indented, or within a sentence."""
    text = page.read_text()
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    indented = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    return [line.strip() for block in (*blocks, *inline, *indented) for line in block.splitlines()]


@pages
def test_links(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pages
def test_commands(page: Path) -> None:
    for line in code(page):
        for words in re.findall(r"kopf-sdk((?: [^\s|;&)]+)+)", line.partition("  #")[0]):
            command, options = resolved(words.split())
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert options <= known | {"--help", "--version"}, line


def resolved(words: list[str]) -> tuple[click.Command, set[str]]:
    """Return the command that words name, and the options that they give it."""
    command: click.Command = _root
    context = click.Context(command)
    while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        below = command.get_command(context, words[0])
        assert below is not None, words[0]
        command, words = below, words[1:]
    own = words[: words.index("--")] if "--" in words else words
    return command, {match[0] for word in own if (match := re.match(r"\[?(--[a-z-]+)", word))} - {"--"}


@pages
def test_make_targets(page: Path) -> None:
    rules = re.findall(r"^([a-z][a-z0-9 -]*):(?!=)", "\n".join(one.read_text() for one in MAKEFILES), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    for line in code(page):
        if line.startswith("make "):
            words = line.partition("  #")[0].split()[1:]
            assert {word for word in words if re.fullmatch(r"[a-z][a-z0-9-]*", word)} <= targets, line
