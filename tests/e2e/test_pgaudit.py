"""What a real PostgreSQL with pgAudit writes under RDS's prefix is cut and read as it was meant."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Optional

import pytest

from collector.decode import decode
from collector.decode.pgaudit import ignoring, parse
from collector.model import Format
from collector.testing.local_aws import free_port
from collector.testing.provider import Provider
from tests.splunk.cim import problems
from tests.splunk.knowledge import Knowledge, Seen

#: RDS's own (it cannot be changed there), and all that pgAudit can say.
CONF = """
listen_addresses = '127.0.0.1,::1'
shared_preload_libraries = 'pgaudit'
log_line_prefix = '%t:%r:%u@%d:[%p]:'
log_timezone = 'UTC'
log_connections = on
log_disconnections = on
log_statement = 'ddl'
fsync = off
pgaudit.log = 'all'
pgaudit.log_parameter = on
pgaudit.log_rows = on
pgaudit.role = 'auditor'
"""
HBA = """
local all all trust
host all locked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host all all ::1/128 trust
"""
STATEMENTS = [
    "SELECT 1",
    'SELECT id,\n       name -- comment, with "quotes" and a, comma\n  FROM account',
    "SELECT 'AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>'",
    "SELECT 'x\n2026-11-21 04:55:35 UTC:10.0.0.9(5):robot@robots:[1]:LOG:  AUDIT: SESSION,1,1,READ,,,,,'",
    "SELECT ':robot@robots:[1]:LOG:  x', E'\\t\\n\n\t\ttabs'",
    "SELECT '" + "long, " * 30_000 + "'",
    "SELECT 'caf\u00e9 \u2028 \U0001f600', \"name\" FROM account",
]
SETUP = [
    "CREATE EXTENSION pgaudit",
    "CREATE ROLE auditor; CREATE ROLE robot LOGIN; CREATE ROLE locked LOGIN PASSWORD 'x'",
    'CREATE ROLE "we:ird@u" LOGIN SUPERUSER',
    'CREATE DATABASE "db:x"',
    "CREATE TABLE account (id int, name text); CREATE TABLE secret (id int)",
    "GRANT SELECT ON secret TO auditor",
]


def _programs() -> Optional[Path]:
    """The programs of the newest server on this machine that has pgAudit, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    for folder in folders:
        asked = subprocess.run([folder / "pg_config", "--pkglibdir"], capture_output=True, check=False) \
            if (folder / "pg_config").exists() else None
        library = Path(asked.stdout.decode().strip()) if asked else folder.parent / "lib"
        if (library / "pgaudit.so").exists() and (folder / "initdb").exists():
            return folder
    return None


class Server:
    """One cluster of its own, run by somebody who is not root."""

    def __init__(self, programs, folder):
        self._programs, self._folder, self._log = programs, folder, folder / "log"
        self._user = "postgres" if os.name == "posix" and os.geteuid() == 0 else None
        self.port = free_port()
        folder.mkdir()
        if self._user:
            shutil.chown(folder, self._user)
        self._run(
            "initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"
        )
        with open(folder / "data" / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(CONF + f"port = {self.port}\nunix_socket_directories = '{folder}'\n")
        (folder / "data" / "pg_hba.conf").write_text(HBA)
        self._run("pg_ctl", "-D", str(folder / "data"), "-l", str(self._log), "-w", "start")

    def _run(self, program, *arguments, code=0):
        done = subprocess.run([os.path.join(self._programs, program), *arguments], user=self._user, cwd="/",
                              env={**os.environ, "PGPASSWORD": "wrong"},
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60, check=False)
        assert done.returncode == code, done.stderr

    def say(self, *statements, user="postgres", database="postgres", host=None, code=0):
        """Each statement in a session of its own; `host` None is the socket."""
        where = ["-h", str(host or self._folder), "-p", str(self.port), "-U", user, "-d", database, "-w"]
        for statement in statements:
            if len(statement) > 100_000:  # longer than an argument may be
                script = self._folder / "script.sql"
                script.write_text(statement, encoding="utf-8")
                script.chmod(0o644)
                self._run("psql", "-X", "-q", *where, "-f", str(script), code=code)
            else:
                self._run("psql", "-X", "-q", *where, "-c", statement, code=code)

    def stop(self):
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "fast", "-w", "stop")

    @property
    def log(self):
        return self._log.read_bytes()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The whole log of a server that has seen everything."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL with pgaudit is not installed")
    folder = Path("/tmp") / f"audit-s3-{getpass.getuser()}-{os.getpid()}-pg"  # a socket's path is short
    server = Server(programs, folder)
    try:
        server.say(*SETUP)
        server.say(*STATEMENTS, user="postgres", host="127.0.0.1")
        server.say("SELECT 1", user="we:ird@u", database="db:x")
        server.say("SELECT 2", user="robot", host="::1")
        server.say("SELECT 3", user="locked", host="127.0.0.1", code=2)
        server.say("SELECT * FROM nosuch\n WHERE x=1;", code=1)
        server.say("SELECT * FROM secret", host="::1")
        server.say("PREPARE p(int,text) AS SELECT $1, $2; EXECUTE p(1, 'o''b\"x')")
    finally:
        server.stop()
        found = server.log
        shutil.rmtree(folder)
    return found


def _events(log):
    blocks = decode([log], format=Format(), now=time.time())
    return [(event.body, event.time) for block in blocks for event in block]


def _lines(log):
    return [parse(body.decode()) for body, _ in _events(log)]


def test_every_message_is_one_event_with_its_time(log):
    starts = [line for line in log.split(b"\n") if line and not line.startswith(b"\t")]
    events = _events(log)
    assert [body.split(b"\n")[0] for body, _ in events] == starts
    assert b"\n".join(body for body, _ in events) == log.rstrip(b"\n")
    assert all(event_time is not None for _, event_time in events)
    assert all(_lines(log)), "no line is left unread"


def test_statements_are_read_as_they_were_sent(log):
    told = [line.audit for line in _lines(log) if line.audit is not None]
    assert not any(audit.truncated for audit in told)
    seen = {audit.statement.rstrip(";\n") for audit in told}
    assert seen.issuperset(STATEMENTS)


def test_who_where_and_how_many_are_read(log):
    told = {(line.user, line.database, line.host, line.audit.statement.rstrip(";")): line
            for line in _lines(log) if line.audit is not None}
    assert told["we:ird@u", "db:x", "[local]", "SELECT 1"].port is None
    assert told["robot", "postgres", "::1", "SELECT 2"].audit.rows == 1
    secret = [line.audit for line in _lines(log) if line.audit and line.audit.object_name == "public.secret"]
    assert {("OBJECT", "READ", 0)} <= {(audit.type, audit.class_, audit.rows) for audit in secret}
    assert any(audit.parameters == ("1", "o'b\"x") for audit in (line.audit for line in _lines(log)) if audit)


def test_what_is_no_audit_is_read_too(log):
    said = {(line.level, line.user, line.message) for line in _lines(log)}
    assert ("STATEMENT", "postgres", "SELECT * FROM nosuch\n WHERE x=1;") in said
    assert ("LOG", "", "database system is ready to accept connections") in said
    assert any(level == "FATAL" and user == "locked" for level, user, _ in said)
    assert any(user == "[unknown]" for _, user, _ in said)


def test_splunk_finds_the_same_fields_in_every_line(log):
    """By default/props.conf and transforms.conf, which are patterns of their own."""
    knowledge = Knowledge(Path(__file__).parents[2] / "default")
    authentications = []
    for body, _ in _events(log):
        line = parse(body.decode())
        fields = knowledge.search(Seen(body.decode(), "postgresql:pgaudit"))
        audit = line.audit
        expected = {
            "client": line.host, "src_port": str(line.port or ""), "db_user": line.user,
            "database": line.database, "pid": str(line.pid), "level": line.level,
            "audit_type": audit and audit.type, "class": audit and audit.class_,
            "statement_id": audit and str(audit.statement_id), "command": audit and audit.command,
            "query": audit.statement if audit else line.message if line.level == "STATEMENT" else "",
            "parameter": audit and audit.parameter, "object_type": audit and audit.object_type,
            "rows": audit and audit.rows is not None and str(audit.rows),
        }
        told = {name: fields.get(name, [""])[0] for name in expected}
        assert told == {name: value or "" for name, value in expected.items()}
        assert not problems(fields)
        if "authentication" in fields["tag"]:
            authentications.append((fields["action"][0], fields["user"][0]))
    assert {("success", "we:ird@u"), ("success", "robot"), ("failure", "locked")} <= set(authentications)


def test_only_those_who_are_ignored_are(log):
    ignores = ignoring(databases={"robots"}, users={"robot", "locked"})
    gone = [parse(body.decode()) for body, _ in _events(log) if ignores(body)]
    assert gone
    assert {line.user for line in gone} == {"robot"}, "of the other only a claim is logged"


def test_a_collector_filters_the_messages_of_those_who_are_ignored(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "pgaudit", bucket=False)
    prefix = "2026-11-21 04:55:35 UTC:10.0.0.9(5):"
    lines = [
        prefix + f"{who}@sales:[7]:LOG:  AUDIT: robot@sales" for who in ("robot", "robots", "etl", "kim")
    ]
    for number, line in enumerate(lines):
        event = {"id": f"{number:056d}", "timestamp": 1795236935412, "message": line}
        provider.send_body(json.dumps(event))
    settings = {**provider.handover(), "provider": "privacera-pgaudit", "ignore_users": "robot, etl"}
    one = collector(settings, name="pg")
    assert sorted(one.once()) == sorted(line.encode() for line in (lines[1], lines[3]))
    assert provider.queue_depth() == 0
    (row,) = [line for line in one.verb("status").stdout.decode().split("\n") if line.startswith("pg ")]
    assert re.findall(r"\b\d+\b", row)[:3] == ["2", "0", "2"], "done, open, filtered"
