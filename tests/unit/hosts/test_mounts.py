"""What is said to be thrown away, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.hosts.service.mounts import throw_away

IN_A_CONTAINER = """\
1029 909 0:77 / / ro,relatime master:1 - overlay overlay rw,lowerdir=/a - b,upperdir=/c
1030 1029 0:80 / /proc rw,nosuid - proc proc rw
1040 1029 0:81 / /tmp rw,nosuid - tmpfs tmpfs rw
1041 1029 8:1 /volumes/state /var/lib/audit-s3 rw,relatime - ext4 /dev/sda1 rw
1042 1029 8:1 /volumes/odd /mnt/with\\040space rw,relatime - xfs /dev/sda1 rw
1043 1041 0:82 / /var/lib/audit-s3/fast rw - tmpfs tmpfs rw
"""
ON_A_HOST = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 22 0:20 / /run rw - tmpfs tmpfs rw\n"


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    return tmp_path / "mountinfo"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/audit-s3/state", "overlay"),
        ("/tmp/state", "tmpfs"),
        ("/var/lib/audit-s3", ""),
        ("/var/lib/audit-s3/below", ""),
        ("/var/lib/audit-s3-beside", "overlay"),
        ("/var/lib/audit-s3/fast/state", "tmpfs"),
        ("/mnt/with space/state", ""),
    ],
)
def test_a_folder_is_as_lasting_as_the_mount_that_it_lies_on(mounts: Path, folder: str, kind: str) -> None:
    mounts.write_text(IN_A_CONTAINER)
    assert throw_away(folder, mounts=mounts) == kind


def test_a_host_with_a_disk_throws_nothing_away_but_what_is_in_memory(mounts: Path) -> None:
    mounts.write_text(ON_A_HOST)
    assert throw_away("/var/lib/audit-s3", mounts=mounts) == ""
    assert throw_away("/run/audit-s3", mounts=mounts) == "tmpfs"


def test_what_is_mounted_last_counts(mounts: Path) -> None:
    mounts.write_text(ON_A_HOST + "24 22 0:30 / /run rw - ext4 /dev/sdb1 rw\n")
    assert throw_away("/run/audit-s3", mounts=mounts) == ""


def test_where_the_system_does_not_tell_nothing_is_said(mounts: Path) -> None:
    assert throw_away("/var/lib/audit-s3", mounts=mounts) == ""
