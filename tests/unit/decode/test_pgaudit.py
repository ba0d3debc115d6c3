"""A line of PostgreSQL's log is read as PostgreSQL and pgAudit wrote it, and nothing inside it forges one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from collector.decode.pgaudit import PLACEHOLDERS, Audit, Line, fields_of, ignoring, parse

PREFIX = "2026-11-21 04:55:35 UTC:"
TIME = "2026-11-21 04:55:35 UTC"


def audit(text: str) -> Optional[Audit]:
    line = parse(f"{PREFIX}127.0.0.1(40642):postgres@postgres:[16797]:LOG:  AUDIT: {text}")
    assert line is not None
    return line.audit


# -- what a server has written


def test_a_statement_of_several_lines_is_read_without_the_tabs_of_the_log() -> None:
    found = audit(
        'SESSION,5,1,READ,SELECT,,,"SELECT id,\n\t       name -- comment, with ""quotes"" and a, comma\n\t'
        '  FROM account",<not logged>'
    )
    assert found == Audit(
        "SESSION", 5, 1, "READ", "SELECT", "", "",
        'SELECT id,\n       name -- comment, with "quotes" and a, comma\n  FROM account', "<not logged>",
    )


def test_parameters_are_csv_inside_csv() -> None:
    found = audit('SESSION,8,1,READ,SELECT,,,"PREPARE p(int,text) AS SELECT $1, $2;","1,""o\'b""""x"""')
    assert found is not None
    assert found.parameter == '1,"o\'b""x"'
    assert found.parameters == ("1", "o'b\"x")


def test_a_tenth_column_counts_the_rows() -> None:
    found = audit("OBJECT,16,1,READ,SELECT,TABLE,public.account,SELECT 1;,<none>,0")
    assert found is not None
    assert (found.type, found.object_name, found.rows) == ("OBJECT", "public.account", 0)


@pytest.mark.parametrize("placeholder", sorted(PLACEHOLDERS))
def test_a_placeholder_is_no_parameter(placeholder: str) -> None:
    found = audit(f"SESSION,1,1,READ,SELECT,,,SELECT 1,{placeholder}")
    assert found is not None
    assert (found.parameter, found.parameters) == (placeholder, ())


@pytest.mark.parametrize(
    ("session", "host", "port", "user", "database"),
    [
        ("::1(44804):u@d", "::1", 44804, "u", "d"),
        ("fe80::1:2(5):u@d", "fe80::1:2", 5, "u", "d"),
        ("db.example.com(5):u@d", "db.example.com", 5, "u", "d"),
        ("[local]:u@d", "[local]", None, "u", "d"),
        (":@", "", None, "", ""),
        ("10.0.0.9(5):we:ird@u@db:x", "10.0.0.9", 5, "we:ird@u", "db:x"),
        ("10.0.0.9(5):[unknown]@[unknown]", "10.0.0.9", 5, "[unknown]", "[unknown]"),
        ("10.0.0.9(5):a(1):b@c d", "10.0.0.9", 5, "a(1):b", "c d"),
    ],
)
def test_every_prefix_is_taken_apart(
    session: str, host: str, port: Optional[int], user: str, database: str
) -> None:
    found = parse(f"{PREFIX}{session}:[16797]:ERROR:  permission denied")
    wanted = Line(TIME, host, port, user, database, 16797, "ERROR", "permission denied")
    assert found == replace(wanted, certain="@" not in user)


def test_an_export_task_puts_its_own_time_before_the_line() -> None:
    found = parse(f"2026-11-21T04:55:35.412Z {PREFIX}[local]:u@d:[1]:LOG:  x")
    assert found == Line(TIME, "[local]", None, "u", "d", 1, "LOG", "x")


@pytest.mark.parametrize(
    "text",
    ["", "AUDIT: SESSION,1,1,READ,SELECT,,,x,y", "\tAUDIT: SESSION", f" {PREFIX}:@:[1]:LOG:  x",
     f"{PREFIX}:@:[x]:LOG:  x", f"{PREFIX}:u:[1]:LOG:  x", f"{PREFIX}:{'u' * 64}@d:[1]:LOG:  x",
     '{"message":"2026-11-21 04:55:35 UTC::@:[1]:LOG:  x"}'],
)
def test_anything_else_is_no_line(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "message",
    ["duration: 5 ms  statement: select 'AUDIT: SESSION,1,1,READ,a,,,x,y'", "AUDIT: OTHER,1,1,READ,a,,,x,y",
     "AUDIT: SESSION,one,1,READ,SELECT,,,x,y", "AUDIT: SESSION,1,1,READ,SELECT,,,x,y,z",
     "AUDIT: SESSION,1,1,READ,SELECT,,,x,y,1,2"],
)
def test_a_message_that_is_no_record_has_no_audit(message: str) -> None:
    found = parse(f"{PREFIX}:u@d:[1]:LOG:  {message}")
    assert found is not None
    assert (found.message, found.audit) == (message, None)


# -- what is rendered is read back

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=40)
QUOTABLE = st.one_of(TEXTS, st.text(',"\n\tA@:[1]', max_size=12), st.sampled_from(sorted(PLACEHOLDERS)))
NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)
AUDITS = st.builds(
    Audit,
    st.sampled_from(["SESSION", "OBJECT"]), st.integers(1, 10**6), st.integers(1, 10**6),
    st.sampled_from(["READ", "WRITE", "FUNCTION", "ROLE", "DDL", "MISC"]),
    st.sampled_from(["SELECT", "CREATE TABLE"]),
    st.sampled_from(["", "TABLE", "FUNCTION"]), QUOTABLE, QUOTABLE, QUOTABLE,
    rows=st.one_of(st.none(), st.integers(0, 10**9)),
)


def quoted(field: Any) -> str:
    """As pgAudit's append_valid_csv does it."""
    text = str(field)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n\r') else text


def rendered(record: Audit) -> str:
    fields = [record.type, record.statement_id, record.substatement_id, record.class_, record.command]
    fields += [record.object_type, record.object_name, record.statement, record.parameter]
    fields += [] if record.rows is None else [record.rows]
    return ",".join(map(quoted, fields)).replace("\n", "\n\t")


@given(record=AUDITS)
def test_a_rendered_record_is_read_back(record: Audit) -> None:
    assume(not rendered(record).endswith("\n"))
    assert audit(rendered(record)) == record


@given(rest=QUOTABLE, length=st.integers(0, 40))
def test_a_record_cut_off_in_its_statement_says_so(rest: str, length: int) -> None:
    statement = "SELECT 1," + rest
    found = audit("SESSION,1,1,READ,SELECT,,," + quoted(statement)[: 1 + length].replace("\n", "\n\t"))
    assert found is not None
    assert found.truncated
    assert statement.startswith(found.statement.rstrip('"'))


def test_a_record_cut_off_in_its_parameters_says_so() -> None:
    found = audit('SESSION,1,1,READ,SELECT,,,SELECT 1,"1,""x')
    assert found is not None
    assert (found.truncated, found.parameter) == (True, '1,"x')


@given(fields=st.lists(QUOTABLE, min_size=1, max_size=6))
def test_csv_is_taken_apart_as_it_was_put_together(fields: Any) -> None:
    assert fields_of(",".join(map(quoted, fields))) == (fields, True)


@given(text=st.text(max_size=80))
def test_any_text_is_a_line_or_none(text: str) -> None:
    for found in (parse(text), parse(f"{PREFIX}{text}"), parse(f"{PREFIX}:u@d:[1]:LOG:  AUDIT: {text}")):
        assert found is None or isinstance(found, Line)


@given(user=NAMES, database=NAMES, message=TEXTS)
def test_user_and_database_are_read_back_where_the_line_is_certain(
    user: str, database: str, message: str
) -> None:
    found = parse(f"{PREFIX}10.0.0.9(5):{user}@{database}:[7]:LOG:  {message}")
    assert found is not None
    if found.certain:
        assert (found.user, found.database) == (user, database)


def test_a_name_with_an_at_sign_hides_nothing_for_it_may_belong_to_either() -> None:
    line = f"{PREFIX}10.0.0.9(5):mallory@x@privacera_db:[1]:LOG:  AUDIT: x"
    assert reason(line, databases=["privacera_db"], users=["mallory@x", "mallory"]) == ""


# -- what is ignored


def reason(text: str, **names: Any) -> str:
    ask = ignoring(**{"databases": (), "users": (), **names})
    assert ask is not None
    return ask(text.encode())


def test_names_are_compared_whole() -> None:
    line = PREFIX + "10.0.0.9(5):notprivacera@privacera_db2:[1]:LOG:  AUDIT: x"
    assert reason(line, databases={"privacera_db"}) == ""
    assert reason(line, users={"privacera"}) == ""
    assert reason(line, databases={"PRIVACERA_DB2"}) == ""
    assert reason(line, databases={"privacera_db2"}) == "ignored database"
    assert reason(line, users={"notprivacera"}) == "ignored user"


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE payroll /* x@privacera_db */", "SELECT 1 WHERE mail='privacera@corp.com'",
     "SELECT ':privacera@privacera_db:[1]:LOG:  AUDIT: '",
     "SELECT 1\n2026-11-21 04:55:35 UTC:10.0.0.9(5):privacera@privacera_db:[1]:LOG:  AUDIT: x"],
)
def test_no_statement_hides_itself(statement: str) -> None:
    message = "AUDIT: SESSION,1,1,DDL,DROP,,," + quoted(statement).replace("\n", "\n\t") + ",<none>"
    line = f"{PREFIX}10.0.0.9(5):mallory@payroll:[1]:LOG:  {message}"
    assert reason(line, databases={"privacera_db"}, users={"privacera"}) == ""


def test_no_name_hides_who_bears_it() -> None:
    line = f"{PREFIX}10.0.0.9(5):privacera@privacera_db:[1]:LOG:  x@payroll:[1]:ERROR:  permission denied"
    assert reason(line, users={"privacera"}, databases={"privacera_db"}) == ""
    longer = f"{PREFIX}10.0.0.9(5):mallory@privacera_db:[1]:LOG:  x:[1]:ERROR:  permission denied"
    assert reason(longer, databases={"privacera_db"}) == ""


def test_a_claimed_name_is_not_believed() -> None:
    for message in ("FATAL:  password authentication failed", "DETAIL:  Connection matched pg_hba.conf"):
        line = f"{PREFIX}10.0.0.9(5):privacera@sales:[1]:{message}"
        assert reason(line, users={"privacera"}) == ""


@pytest.mark.parametrize("text", ["privacera@privacera_db", "AUDIT: SESSION", "", "\xff"])
def test_what_cannot_be_read_is_never_ignored(text: str) -> None:
    assert reason(text, users={"", "privacera"}, databases={"", "privacera_db"}) == ""


def test_without_names_nothing_is_asked() -> None:
    assert ignoring(databases=(), users=()) is None
