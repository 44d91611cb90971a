"""The tutorials, done: every program in them is written to its file, every command is run, in their order.

A Python block names its file in its first line. Blocks of bash are run as they stand. What would take minutes is done
with other numbers than the page shows, which the page says in a comment:
``<!-- tested with: 100_000 as 4_000; … -->``.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PATIENCE = 1800

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBERS = re.compile(r"^<!-- tested with: (.*) -->$", re.MULTILINE)
NAMED = re.compile(r"# ([\w/]+\.py)\n")


def smaller(text: str) -> str:
    """Put the numbers of the test in the place of those that are shown."""
    for comment in NUMBERS.findall(text):
        text = text.replace(comment, "")
        for shown, tested in (pair.split(" as ") for pair in comment.split("; ")):
            assert shown in text, f"{shown} is to be replaced, and is not there"
            text = text.replace(shown, tested)
    return text


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled functions, so that later commands begin quickly."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=[page.stem for page in TUTORIALS])
def test_everything_in_a_tutorial_works(page: Path, tmp_path: Path, cache: Path) -> None:
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path / "home"),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    environment.pop("MINARI_DATASETS_PATH", None)
    commands = 0
    for language, code in FENCE.findall(smaller(page.read_text())):
        if language == "python":
            named = NAMED.match(code)
            assert named, f"a block does not say in which file it is: {code[:80]}"
            path = tmp_path / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(code)
        elif language == "bash":
            commands += 1
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", code],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == 0, f"{code}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert commands > 0


def test_a_number_that_a_page_does_not_show_is_noticed() -> None:
    page = "<!-- tested with: 100 as 10; 7 as 1 -->\n--steps 100 --seed 7\n"

    assert smaller(page).endswith("--steps 10 --seed 1\n")
    with pytest.raises(AssertionError, match="100 is to be replaced"):
        smaller("<!-- tested with: 100 as 10 -->\n--steps 200\n")
