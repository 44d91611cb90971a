"""The table of traps names tests that exist, and no trap that has a test is missing from it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_of_traps_names_the_tests_that_there_are() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "traps.md").read_text()))
    defined = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        defined |= set(re.findall(r"^def (test_\w+)", path.read_text(), flags=re.MULTILINE))
    assert named
    assert named <= defined
    numbers = {name[10:12] for name in defined if name.startswith("test_trap_")}
    assert numbers <= {name[10:12] for name in named if name.startswith("test_trap_")}
