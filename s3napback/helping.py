"""The part of the command line that shows the manual. It needs no configuration, and none of its faults matters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from s3napback.command_group import ALIASES
from s3napback.speaking import say


@click.command("help", context_settings={"ignore_unknown_options": True})
@click.argument("topic", nargs=-1)
@click.option("--plain", "is_plain", is_flag=True, help="On a terminal as in a pipe: not laid out, and in no pager.")
def help_command(topic: Sequence[str], *, is_plain: bool) -> None:
    """Show the manual's topics, or what it has on a TOPIC, a command, a directive, a message, words of a question."""
    from s3napback.commands import help as manual
    from s3napback.paging import show_text

    word = " ".join(topic)
    manual.show(ALIASES.get(word, word), partial(show_text, is_plain=is_plain), say)
