"""`audit-s3 config`: what is in force, and of a secret where it is kept."""

from __future__ import annotations

from click.testing import CliRunner

from collector.hosts.cli.config import command

CONFIG = """[audit_s3://thrive]
provider = thrive
bucket = audit-bucket
queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/q
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = in-plain-text
hec_url = https://splunk.example.com:8088
hec_token = file:{token}
"""


def test_of_a_secret_only_the_place_is_shown(tmp_path):
    token, config = tmp_path / "hec-token", tmp_path / "a.conf"
    token.write_text("t0ken-of-ours\n")
    token.chmod(0o600)
    config.write_text(CONFIG.format(token=token))
    said = CliRunner().invoke(command, ["--config", str(config)]).output
    assert f"hec_token = file:{token}\n" in said
    assert "aws_secret_access_key = ********\n" in said
    assert "t0ken-of-ours" not in said and "in-plain-text" not in said
