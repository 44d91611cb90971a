"""Who may know whom, read from the imports; and that nothing but ``triax.random`` makes a seed or a key."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import triax

PACKAGE = Path(str(triax.__file__)).parent
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = frozenset({"trees", "processor", "compilation", "random", "spaces", "types"})

EVERYONE = frozenset(
    BASE
    | {"networks", "objectives", "learners", "environments", "rollout", "replay", "datasets", "evaluation", "runs"}
    | {"statistics", "programs", "training", "launch", "exits", "commands", "options", "cli", "__init__"}
)

MAY_KNOW: dict[str, frozenset[str]] = {
    "trees": frozenset(),
    "processor": frozenset(),
    "compilation": frozenset({"processor"}),
    "random": frozenset(),
    "statistics": frozenset(),
    "programs": frozenset(),
    "spaces": frozenset({"trees"}),
    "types": frozenset({"trees", "random", "spaces"}),
    "networks": BASE,
    "objectives": BASE,
    "learners": BASE | {"networks", "objectives"},
    "environments": BASE,
    "rollout": BASE,
    "replay": BASE,
    "datasets": BASE | {"replay", "programs"},
    "evaluation": BASE | {"environments", "rollout", "statistics"},
    "runs": BASE | {"statistics"},
    "training": EVERYONE - {"cli", "commands", "options", "exits", "launch"},
    "exits": EVERYONE - {"cli", "commands", "launch"},
    "launch": EVERYONE - {"cli", "commands"},
    "commands": EVERYONE - {"cli"},
    "options": BASE | {"learners", "networks"},
    "cli": EVERYONE,
    "__main__": EVERYONE,
    "__init__": EVERYONE,
}
"""For each part of the package, the other parts that it may import."""

WITHOUT_GYMNASIUM = ("trees", "random", "networks", "objectives", "learners", "replay")
"""Gymnasium's spaces end at the border; these parts stand inside of it."""

KEY_MAKERS = ("key", "PRNGKey", "wrap_key_data", "default_rng", "RandomState", "SeedSequence", "Generator", "Philox")
"""Calls of ``*.random.<name>`` that make randomness out of a seed."""

ONLY_FROM_AN_ARGUMENT = {"statistics.py"}
"""Bootstrap intervals are a function of the data: their seed is an argument, and always the same unless it is given."""


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imported_modules(source: str) -> Iterator[str]:
    """Yield the full name of everything that is imported, wherever in the file: ``a.b`` and ``a.b.name``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who knows whom"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_parts(source: str) -> set[str]:
    names = (name.split(".") for name in imported_modules(source))
    return {name[1] if len(name) > 1 else "__init__" for name in names if name[0] == "triax"}


def test_every_part_of_the_package_has_its_place() -> None:
    assert {part_of(path) for path in FILES} <= set(MAY_KNOW)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_stay_within_what_a_part_may_know(path: Path) -> None:
    part = part_of(path)
    unknown = imported_parts(path.read_text()) - MAY_KNOW[part] - {part}
    assert not unknown, f"{part} must not know {sorted(unknown)}"


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) == "learners"], ids=lambda path: path.name)
def test_algorithms_do_not_know_each_other(path: Path) -> None:
    folder = path.parent.name
    shared = {"actor", "actor_critic", "cloning", "interface", "optimizer", "registry", "terms", "__init__"}
    names = [name.split(".") for name in imported_modules(path.read_text())]
    known = {name[2] for name in names if name[:2] == ["triax", "learners"] and len(name) > 2}
    assert known <= shared | {folder}


@pytest.mark.parametrize("part", WITHOUT_GYMNASIUM)
def test_gymnasium_ends_at_the_border(part: str) -> None:
    for path in FILES:
        if part_of(path) == part:
            assert all(name.split(".")[0] != "gymnasium" for name in imported_modules(path.read_text())), path


def seed_makers(source: str) -> list[str]:
    """List the calls in a file that make a seed, a key or a generator of their own."""
    tree = ast.parse(source)
    shapes_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("eval_shape")
        for inner in ast.walk(node)
    }
    found = [name for name in imported_modules(source) if name == "random" or name.startswith(("random.", "secrets"))]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        *places, name = ast.unparse(node.func).split(".")
        from_random = bool(places) and places[-1] in ("random", "jrandom", "jr") and name in KEY_MAKERS
        by_itself = not places and name in set(KEY_MAKERS) - {"key"}
        reseeds = bool(places) and places[-1] == "random" and name == "seed"
        rngs = name == "Rngs" and id(node) not in shapes_only and any(isinstance(a, ast.Constant) for a in node.args)
        if from_random or by_itself or reseeds or rngs:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_only_the_module_of_random_numbers_makes_seeds(path: Path) -> None:
    if str(path.relative_to(PACKAGE)) == "random.py":
        assert len(seed_makers(path.read_text())) >= 3
        return
    if str(path.relative_to(PACKAGE)) in ONLY_FROM_AN_ARGUMENT:
        assert all(call.endswith("default_rng(seed)") for call in seed_makers(path.read_text()))
        return
    assert seed_makers(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "key = jax.random.key(0)",
        "key = jax.random.PRNGKey(seed)",
        "generator = np.random.default_rng(seed)",
        "generator = numpy.random.RandomState(3)",
        "sequence = np.random.SeedSequence()",
        "np.random.seed(0)",
        "import random",
        "from random import choice",
        "generator = default_rng(1)",
        "model = Model(rngs=nnx.Rngs(0))",
        "def f():\n    return jax.random.wrap_key_data(x)",
    ],
)
def test_a_seed_made_elsewhere_is_found(line: str) -> None:
    assert len(seed_makers(line)) == 1


def test_what_is_no_seed_is_left_alone() -> None:
    lines = (
        "from triax.random import derive_key",
        "key = derive_key(seed=0, name=('a',))",
        "keys = jax.random.split(key, 3)",
        "graph = nnx.eval_shape(lambda: make(nnx.Rngs(0)))",
        "model = make(nnx.Rngs(key))",
        "value = table.key(3)",
        "'''jax.random.key(0)'''",
    )
    assert seed_makers("\n".join(lines)) == []


def test_imports_are_found_wherever_they_stand() -> None:
    source = (
        "import triax.rollout.fleet\n"
        "from triax import networks\n"
        "def f():\n    from triax.replay.storage import Storage\n"
        "if TYPE_CHECKING:\n    import triax.runs as runs\n"
    )
    assert imported_parts(source) == {"rollout", "networks", "replay", "runs"}
