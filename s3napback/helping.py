"""The part of the command line that shows the manual. It needs no configuration, and none of its faults matters."""

from __future__ import annotations

from functools import partial

import click

from s3napback.command_group import ALIASES
from s3napback.speaking import say


@click.command("help")
@click.argument("topic", required=False)
@click.option("--plain", "is_plain", is_flag=True, help="On a terminal as in a pipe: not laid out, and in no pager.")
def help_command(topic: str | None, *, is_plain: bool) -> None:
    """Show the manual's topics, or what it has under a TOPIC, a command or a directive."""
    from s3napback.commands import help as manual
    from s3napback.paging import show_text

    word = topic or ""
    manual.show(ALIASES.get(word, word), partial(show_text, is_plain=is_plain), say)
