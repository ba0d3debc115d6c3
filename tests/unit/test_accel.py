"""The accelerators change the speed and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib

from hypothesis import given
from hypothesis import strategies as st

from collector import accel


@given(st.binary(max_size=2000))
def test_what_is_compressed_is_inflated_by_either_library(plain: bytes) -> None:
    packed = accel.gzip_compress([plain[:700], plain[700:]])
    assert zlib.decompress(packed, 31) == plain
    for accelerated in (True, False):
        reader = accel.inflater(accelerated=accelerated)
        assert reader.decompress(packed[10:]) == plain
        assert reader.eof
        assert reader.unused_data == packed[-8:]


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_the_checksum_is_zlibs(one: bytes, two: bytes) -> None:
    assert accel.crc32(two, accel.crc32(one, 0)) == zlib.crc32(one + two)


def test_the_environment_closes_the_door() -> None:
    code = "from collector import accel; print(accel.active(), accel.json_windows(('time',)))"
    environment = dict(os.environ, AUDIT_S3_ACCELERATORS="off")
    answer = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert answer.strip() == "() None"
