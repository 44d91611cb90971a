"""What the processor has: the cores that are left to this process, and AVX-512 as Linux lists it."""

import os
from pathlib import Path

import pytest

from triax.processor import has_avx512, usable_cores


def test_cores_that_this_process_may_not_use_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() == len(before)


def test_without_linux_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores() == 7


@pytest.mark.parametrize(
    ("flags", "expected"), [("fma avx2 avx512f avx512dq", True), ("fma avx2 avx512", False), (None, False)]
)
def test_avx512_is_what_linux_lists(flags: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(path: Path) -> str:
        assert str(path) == "/proc/cpuinfo"
        if flags is None:
            raise FileNotFoundError(path)
        return f"flags : {flags}"

    monkeypatch.setattr(Path, "read_text", read_text)
    has_avx512.cache_clear()
    try:
        assert has_avx512() == expected
    finally:
        has_avx512.cache_clear()
