"""`--help` of every command says what there is to say."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from kopf_sdk.cli import _root


def commands(command: click.Command, above: click.Context | None, name: str) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=above, terminal_width=80)
    yield context
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from commands(below, context, word)


ALL = list(commands(_root, None, "kopf-sdk"))


@pytest.mark.parametrize("context", ALL, ids=lambda context: context.command_path)
def test_it_says_what_the_command_and_its_options_do(context: click.Context) -> None:
    assert context.command.help
    options = [one for one in context.command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help and not one.hidden] == []


@pytest.mark.parametrize(
    "context",
    [context for context in ALL if isinstance(context.command, click.Group)],
    ids=lambda context: context.command_path,
)
def test_no_sentence_about_a_command_breaks_off(context: click.Context) -> None:
    listed = context.get_help().split("Commands:")[1]
    assert [line for line in listed.splitlines() if line.endswith("...")] == []
