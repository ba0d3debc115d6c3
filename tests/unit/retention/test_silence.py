"""What a silence is told to mean, and by which looks."""

from __future__ import annotations

from typing import List, Optional

import pytest

from collector.config.providers import PROVIDERS
from collector.errors import CollectorError, Fatal, Retry
from collector.model import ObjectRef
from collector.retention.notice import Notice
from collector.retention.silence import STATES, Finding, Probe, Silence, Trail

HOUR = 3600.0
BEGAN = 1_777_890_000.0
NEW = ObjectRef("b", "k/new", etag="e", event_time=BEGAN + HOUR)
DENIED = Fatal("AccessDenied", code="list_denied", scope="object", hint="Provider: attach s3:ListBucket")


class Ear:
    """A Silence of one hour, and its clock; a look every five minutes."""

    def __init__(self, interval: float = HOUR, *, could_list: bool = False) -> None:
        self.now = 1000.0
        self.silence = Silence(interval, now=self.now, began=BEGAN)
        self.looks: List[float] = []
        if could_list:
            self.silence.listed()

    @property
    def state(self) -> str:
        return self.silence.state

    def wait(self, seconds: float, *, listening: bool = True) -> None:
        """Let time pass; a look that is due is begun, and finds nothing out."""
        for _ in range(int(seconds / 300)):
            self.now += 300
            if self.silence.is_due(listening=listening, now=self.now):
                self.looks.append(self.now)
                self.silence.looks(now=self.now)

    def hear(self, sent: Optional[float] = None) -> Optional[Notice]:
        return self.silence.heard(BEGAN + self.now if sent is None else sent, now=self.now)

    def find(self, **finding: object) -> Optional[Notice]:
        return self.silence.found(Finding(**finding), now=self.now)  # type: ignore[arg-type]

    def fail(self, error: CollectorError) -> Optional[Notice]:
        return self.find(error=error)


@pytest.fixture
def ear() -> Ear:
    """One that has been silent for a little longer than it should."""
    found = Ear()
    found.wait(HOUR + 300)
    assert found.state == "silent"
    return found


def test_three_quarters_of_an_hour_are_a_silence_and_a_day_of_who_exports_daily() -> None:
    expected = {
        name: int(one.settings.get("expected_interval_seconds", "0")) for name, one in PROVIDERS.items()
    }
    assert expected == {
        "custom": 0, "thrive": 2700, "cloudtrail": 2700, "privacera-pgaudit": 0, "privacera-policysync": 0,
        "immuta": 90_000,
    }


# -- when there is a look ---------------------------------------------------------------------------


def test_there_is_no_look_before_the_interval_is_over_and_one_an_interval_after_it() -> None:
    ear = Ear()
    ear.wait(HOUR - 300)
    assert (ear.looks, ear.state) == ([], "listening")
    ear.wait(24 * HOUR)
    assert len(ear.looks) == 24
    assert min(after - before for before, after in zip(ear.looks, ear.looks[1:])) >= HOUR


def test_messages_within_the_interval_keep_it_from_looking() -> None:
    ear = Ear()
    for _ in range(10):
        ear.wait(HOUR - 300)
        ear.hear()
    assert ear.looks == []


def test_time_in_which_the_queue_is_not_listened_to_is_no_silence() -> None:
    ear = Ear()
    ear.wait(10 * HOUR, listening=False)
    assert (ear.looks, ear.state) == ([], "listening")
    ear.wait(HOUR)
    assert ear.state == "silent"


def test_without_an_expected_interval_nothing_is_ever_looked_at() -> None:
    ear = Ear(0.0)
    ear.wait(100 * HOUR)
    assert (ear.looks, ear.state, ear.hear()) == ([], "off", None)
    assert ear.state == "off"


def test_a_message_that_comes_back_again_and_again_does_not_break_a_silence() -> None:
    ear = Ear()
    ear.hear(BEGAN)
    for _ in range(15):
        ear.wait(300)
        ear.hear(BEGAN)
    assert ear.state == "silent"


def test_a_backlog_from_before_the_start_is_heard() -> None:
    ear = Ear()
    for minute in range(100):
        ear.wait(300)
        ear.hear(BEGAN - 9 * HOUR + 60 * minute)
    assert ear.state == "hearing"


# -- what it finds ----------------------------------------------------------------------------------


def test_nothing_new_in_the_bucket_is_a_quiet_provider_and_nobodys_move(ear: Ear) -> None:
    news = ear.find()
    assert news is not None and (ear.state, news.owner, news.is_warning) == ("quiet", "nobody", False)
    assert "1 h 5 min" in news.what
    assert ear.find() is None, "it is told once"


def test_objects_that_no_message_told_of_are_broken_notifications_and_the_providers_move(ear: Ear) -> None:
    news = ear.find(unannounced=(NEW,))
    assert news is not None and (ear.state, news.owner) == ("notifications_broken", "provider")
    assert (news.is_warning, news.where) == (True, NEW.url)
    assert ear.find(unannounced=(NEW, NEW)) is None


def test_broken_notifications_stand_until_a_message_comes(ear: Ear) -> None:
    ear.find(unannounced=(NEW,))
    for finding in (Finding(), Finding(others=(NEW,)), Finding(young=True)):
        assert ear.silence.found(finding, now=ear.now) is None
        assert ear.state == "notifications_broken"
    over = ear.hear()
    assert over is not None and over.is_over and "1 h 5 min" in over.what
    assert (ear.state, ear.silence.notice, ear.silence.seconds) == ("hearing", None, 0.0)


def test_what_a_listing_fed_since_the_last_message_shows_that_notifications_are_broken(ear: Ear) -> None:
    ear.silence.fed(BEGAN + 60)
    assert ear.find(others=(NEW,)) is not None
    assert ear.state == "notifications_broken"


def test_what_a_listing_fed_from_before_the_last_message_shows_nothing(ear: Ear) -> None:
    ear.silence.fed(BEGAN - 60)
    ear.find()
    assert ear.state == "quiet"


def test_what_others_collect_is_no_silence(ear: Ear) -> None:
    assert ear.find(others=(NEW,)) is None
    assert (ear.state, ear.silence.seconds, ear.silence.newest) == ("hearing", 0.0, NEW.event_time)


def test_an_object_whose_message_may_be_under_way_decides_nothing(ear: Ear) -> None:
    assert ear.find(young=True) is None
    assert ear.state == "silent"


def test_a_page_that_is_not_all_of_a_partition_decides_nothing_and_takes_nothing_back(ear: Ear) -> None:
    assert ear.find(reached="k/0999") is None
    assert ear.state == "silent"
    ear.find()
    assert ear.find(reached="k/0999") is None
    assert ear.state == "quiet"


def test_a_denial_where_a_listing_worked_before_is_our_access(ear: Ear) -> None:
    ear.silence.listed()
    news = ear.fail(DENIED)
    assert news is not None
    assert (ear.state, news.owner, news.hint) == ("access_broken", "provider", DENIED.hint)
    ear.find()
    assert ear.state == "quiet", "the access is back"


def test_without_the_right_to_list_only_the_silence_is_told(ear: Ear) -> None:
    news = ear.fail(DENIED)
    assert news is not None and (ear.state, news.code) == ("unknown", "silent")
    assert "may not be listed" in news.what


def test_a_role_that_cannot_be_assumed_is_our_access_whatever_was_possible_before(ear: Ear) -> None:
    error = Fatal("ExpiredKeys", code="credentials_invalid", scope="role", hint="You: renew the key")
    news = ear.fail(error)
    assert news is not None and (ear.state, news.owner) == ("access_broken", "you")


def test_a_queue_that_refuses_us_is_our_access(ear: Ear) -> None:
    news = ear.silence.refused(Fatal("AccessDenied", code="queue_denied", scope="queue", hint="Provider: x"))
    assert news is not None and (ear.state, news.owner) == ("access_broken", "provider")


def test_a_look_that_fails_for_a_moment_tells_nothing(ear: Ear) -> None:
    assert ear.fail(Retry("SlowDown", code="throttled")) is None
    assert ear.state == "silent"


def test_an_input_without_a_bucket_cannot_tell_why_it_is_silent(ear: Ear) -> None:
    news = ear.silence.found(None, now=ear.now)
    assert news is not None and (ear.state, news.is_warning) == ("unknown", True)


def test_a_message_that_comes_while_we_look_makes_the_look_void(ear: Ear) -> None:
    assert ear.hear() is None, "nothing was told of this silence"
    assert ear.find(unannounced=(NEW,)) is None
    assert ear.state == "hearing"


def test_the_end_of_a_quiet_time_is_told_too(ear: Ear) -> None:
    ear.find()
    over = ear.hear()
    assert over is not None and over.is_over and over.code == "provider_quiet"


def test_every_state_is_explained(ear: Ear) -> None:
    assert set(STATES) == {
        "off", "listening", "hearing", "silent", "quiet", "notifications_broken", "access_broken", "unknown"
    }


# -- where it looks ---------------------------------------------------------------------------------

DATED = "AWSLogs/1/CloudTrail/eu-west-1/2026/05/04/a.json.gz"
HEAD = "AWSLogs/1/CloudTrail/eu-west-1/"


def test_of_dated_keys_what_sorts_after_the_newest_is_listed_then_its_own_day() -> None:
    trail = Trail(["b"], "")
    trail.saw("b", DATED)
    assert trail.probe() == Probe("b", HEAD, DATED)
    assert trail.probe() == Probe("b", f"{HEAD}2026/05/04/")
    assert trail.probe() == Probe("b", HEAD, DATED)


def test_of_other_keys_the_newest_partition_is_listed() -> None:
    trail = Trail(["b"], "")
    trail.saw("b", "audits/x/1.json")
    trail.saw("b", "audits/y/1.json")
    assert [trail.probe(), trail.probe()] == [Probe("b", "audits/y/"), Probe("b", "audits/x/")]


def test_a_partition_of_many_pages_is_looked_through_a_page_at_a_time_and_then_again() -> None:
    trail = Trail(["b"], "")
    trail.saw("b", "audits/x/5.json")
    for reached in ("audits/x/2", "audits/x/4", ""):
        trail.probe()
        trail.reached(reached)
    assert trail.probe() == Probe("b", "audits/x/")
    trail.reached("audits/x/2")
    assert trail.probe() == Probe("b", "audits/x/", "audits/x/2")
    trail.begin()
    assert trail.probe() == Probe("b", "audits/x/")


def test_a_silence_begins_with_the_partition_that_was_written_last() -> None:
    trail = Trail(["b"], "")
    for key in ("x/1", "y/1", "x/2"):
        trail.saw("b", key)
    assert trail.probe() == Probe("b", "x/")
    trail.begin()
    assert trail.probe() == Probe("b", "x/")


def test_before_any_key_was_seen_each_bucket_has_its_turn_under_the_prefix() -> None:
    trail = Trail(["a", "b"], "logs/")
    probes = [trail.probe() for _ in range(3)]
    assert probes == [Probe("a", "logs/"), Probe("b", "logs/"), Probe("a", "logs/")]
    assert Trail([], "").probe() is None


def test_no_look_goes_beyond_the_prefix_of_the_input() -> None:
    trail = Trail(["b"], "logs/2026")
    trail.saw("b", "logs/2026/05/04/a.json")
    assert trail.probe() == Probe("b", "logs/2026", "logs/2026/05/04/a.json")
    assert trail.probe() == Probe("b", "logs/2026/05/04/")


def test_the_trail_remembers_a_bounded_number_of_partitions() -> None:
    trail = Trail(["b"], "")
    for number in range(10_000):
        trail.saw("b", f"{number:05}/x")
        if number % 50 == 0:
            trail.probe()
    trail.begin()
    probes = [trail.probe() for _ in range(300)]
    assert len(set(probes)) == 100
    assert probes[0] == Probe("b", "09999/")
