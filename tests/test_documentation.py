"""The documentation: code in it compiles and runs, what it refers to exists, examples work."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import triax

ROOT = Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
"""Their code is run by test_tutorials.py."""
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
PAGES += TUTORIALS
IDENTIFIERS = [page.name for page in PAGES]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
ROLE = re.compile(r"\{py:\w+\}`(?:[^`<]*<)?~?([\w.]+)>?`")
NEEDS_A_RUN = re.compile(r"load_agent|^state = learner", re.MULTILINE)
"""Code that shows how something is used that a test cannot have at hand."""


def load(path: Path) -> ModuleType:
    """Import a file by its path."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def python_blocks() -> list[Any]:
    """List the Python code of all pages."""
    return [
        pytest.param(code, id=f"{page.name}-{number}")
        for page in PAGES
        if page not in TUTORIALS
        for number, code in enumerate(
            code for language, code in FENCE.findall(page.read_text()) if language == "python"
        )
    ]


@pytest.fixture
def example_modules() -> Any:
    """Undo what an example registers or imports."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("documentation_block"):
            del sys.modules[name]


@pytest.mark.parametrize("code", python_blocks())
def test_python_code_compiles_and_runs(code: str, example_modules: None) -> None:
    compiled = compile(code, "documentation", "exec")
    if NEEDS_A_RUN.search(code):
        return
    # In a module of its own, as dataclasses look their module up. Its name is not __main__: nothing is trained.
    module = ModuleType("documentation_block")
    sys.modules[module.__name__] = module
    exec(compiled, module.__dict__)
    experiment = getattr(module, "experiment", None)
    assert experiment is None or isinstance(experiment, triax.Experiment)


def test_the_readme_shows_a_complete_experiment() -> None:
    codes = [code for language, code in FENCE.findall((ROOT / "README.md").read_text()) if language == "python"]
    experiment = next(code for code in codes if "triax.main" in code)

    assert len(experiment.splitlines()) <= 25
    assert experiment.rstrip().endswith("triax.main(experiment)")
    # It is the file that the commands below it run.
    file = (ROOT / "experiments" / "mixed_action_ppo.py").read_text()
    assert experiment == file[file.index("import triax") :]


@pytest.mark.parametrize("page", PAGES, ids=IDENTIFIERS)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    for target in LINK.findall(text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.is_file(), f"{page.name} links to {target}, which does not exist"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}; {name} has {anchors(path)}"


def anchors(path: Path) -> set[str]:
    """List the headings that can be linked to, as the build names them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDENTIFIERS)
def test_names_in_roles_exist(page: Path) -> None:
    for name in ROLE.findall(page.read_text()):
        assert find(name) is not None, f"{page.name} names {name}, which does not exist"


def find(name: str) -> Any:
    """Look a dotted name up, as module or as something in one, where it is defined."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        defined_in = getattr(found, "__module__", None)
        # The reference has a thing under the module that defines it, and a link to another name would lead nowhere.
        return None if count < len(parts) and defined_in != ".".join(parts[:count]) else found
    return None


def test_every_public_module_is_in_the_reference(tmp_path: Path) -> None:
    pages = load(ROOT / "docs" / "reference_pages.py")

    pages.write(folder=tmp_path)

    files = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "triax").rglob("*.py")}
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files}
    public = {name for name in modules if not re.search(r"\._[^_]", name)} - {"triax", "triax.__main__"}
    written = {path.stem for path in tmp_path.glob("*.rst")}
    assert written == public | {"index", "public"}
    linked = " ".join(path.read_text() for path in tmp_path.glob("*.rst"))
    assert all(re.search(rf"^ +{re.escape(name)}$", linked, re.MULTILINE) for name in public)
    for name in set(triax.__all__) - {"__version__"}:
        assert f"`triax.{name} <" in (tmp_path / "public.rst").read_text()


def test_pages_of_modules_that_are_gone_are_removed(tmp_path: Path) -> None:
    pages = load(ROOT / "docs" / "reference_pages.py")
    (tmp_path / "triax.gone.rst").write_text("Gone")

    pages.write(folder=tmp_path)

    assert not (tmp_path / "triax.gone.rst").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (":return: [..., *shape], log π(a|o).", r":return: [..., \*shape], log π(a\|o)."),
        ("A *name* is a path; **never** a number.", "A *name* is a path; **never** a number."),
        ("``*batches`` and `x|y` stay; a − a* is escaped.", r"``*batches`` and `x|y` stay; a − a\* is escaped."),
        ("Between [*a, b] and [*c, d] lies nothing.", r"Between [\*a, b] and [\*c, d] lies nothing."),
    ],
)
def test_stars_and_bars_that_are_no_markup_are_escaped(line: str, expected: str) -> None:
    mathematics = load(ROOT / "docs" / "docstring_mathematics.py")

    assert mathematics.escape([line]) == [expected]


def test_literal_blocks_are_left_alone() -> None:
    mathematics = load(ROOT / "docs" / "docstring_mathematics.py")
    lines = ["So::", "", "    a * b | c", "", "    d*", "and e* f."]

    assert mathematics.escape(lines) == [*lines[:-1], r"and e\* f."]


@pytest.mark.parametrize("target", ["train", "test", "test-quick", "lint", "docs", "benchmark", "clean", "help"])
def test_make_knows_its_targets(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert re.search(rf"^  {target} +\w", listed.stdout, re.MULTILINE)


def test_a_learner_alone_learns_from_steps() -> None:
    example = load(ROOT / "docs" / "examples" / "learner_alone.py")
    small = triax.MLPConfig(hidden=(8,))
    network = triax.NetworkConfig(torso=small)
    config = triax.SACConfig(
        warmup_steps=200, batch_size=16, normalise_observations=True, actor=network, critic=network
    )

    returns = example.train(config=config, steps=210)

    assert len(returns) == 1
    assert -2000.0 < returns[0] < 0.0


def test_the_example_of_an_algorithm_trains_and_its_agent_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    example = importlib.import_module("reinforce")
    experiment = triax.Experiment(
        name="reinforce",
        learner=example.ReinforceConfig(steps=32, minibatch_size=64),
        environment=triax.EnvironmentConfig(id="CartPole-v1"),
        rollout=triax.RolloutConfig(environments_per_worker=2),
        total_steps=200,
        evaluation=triax.EvaluationConfig(interval=100, episodes=2),
        loop=triax.LoopConfig(video=False),
    )

    result = triax.train(experiment=experiment, run_directory=tmp_path / "run")

    assert result.evaluations[-1].environment_steps >= 200
    agent = triax.load_agent(run_directory=result.run_directory)
    assert agent.act(observation=agent.spec.observation.zeros(batch_shape=())) in (0, 1)
