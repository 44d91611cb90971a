"""The table of traps has each of them once, and names all tests of traps that there are; all tests are run."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "traps.md").read_text()
TESTS = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "tests").rglob("*.py"))}


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def test_the_table_has_every_trap_once() -> None:
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)] == list(range(1, 44))


def test_the_table_of_traps_names_the_tests_that_there_are() -> None:
    defined = {function.name for tree in TESTS.values() for function in functions(tree)}
    rows = dict(re.findall(r"^\| (\d+) \|(.*)$", PAGE, flags=re.MULTILINE))
    for number, row in rows.items():
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named <= defined
        found_by_name = {name for name in defined if f"trap_{int(number):02}_" in name}
        assert found_by_name <= named
        assert found_by_name or " none: " in row


def test_trap_42_every_test_is_run_before_a_change_is_accepted() -> None:
    assert re.search(r"^make test ", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    (prerequisites,) = re.findall(r"^test: (.*?) ##", makefile, flags=re.MULTILINE)
    assert {"test-quick", "test-slow"} <= set(prerequisites.split())
    assert set(re.findall(r"\$\(TEST\) -m (slow|\"not slow\") ", makefile)) == {"slow", '"not slow"'}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"]
    # No other marker takes tests out, and what pytest does not look into has none.
    assert [marker.partition(":")[0] for marker in settings["markers"]] == ["slow"]
    assert all(path.name.startswith("test_") for path, tree in TESTS.items() if functions(tree))


def test_trap_42_learning_tests_measure_what_has_not_learned_too() -> None:
    learning = [
        ast.unparse(function)
        for tree in TESTS.values()
        for function in functions(tree)
        if re.search(r"_learns_(what|the)_", function.name)
    ]
    assert len(learning) >= 4
    assert all("untrained" in source or "random_score" in source for source in learning)
