"""What the program says of its commands and flags."""

from __future__ import annotations

import click
import pytest

from collector.hosts.cli import main
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--hec-token", "x"], "never a flag, which every process of this host could read"),
        (["run", "--hec-token", "x"], "set hec_token = file:PATH in the configuration, or AUDIT_S3_HEC_T"),
        (["status", "--checkpoint-dir=x"], "no flag of this command: set checkpoint_dir in the config"),
        (["run", "--wrokers", "2"], "--workers"),
    ],
)
def test_a_setting_that_is_no_flag_says_where_it_is_set(capsys, words, said) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert (left.value.code, said in capsys.readouterr().err) == (2, True)
