"""The help of commands that have commands of their own."""

from __future__ import annotations

import click

from collector.hosts.cli.quarantine import command


def test_a_listed_command_is_described_in_a_whole_sentence() -> None:
    context = click.Context(command, info_name="audit-s3 quarantine")
    listed = command.get_help(context).partition("Commands:")[2].strip().splitlines()
    assert len(listed) == len(command.commands)
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_an_argument_that_may_be_left_out_says_so() -> None:
    usage = {name: " ".join(verb.collect_usage_pieces(click.Context(verb)))
             for name, verb in command.commands.items()}
    assert usage["retry"].endswith("[ID]...") and usage["drop"].endswith(" ID...")
