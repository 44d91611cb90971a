"""Configurations survive being stored as JSON; what cannot be stored or may not be imported is refused."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from triax.learners.registry import register
from triax.learners.sac import SACConfig
from triax.networks import MLPConfig, NetworkConfig
from triax.networks.noise import PinkNoise
from triax.training.description import CannotDescribe, describe, named_modules, restore
from triax.training.importing import (
    CannotImport,
    SourceChanged,
    check_sources,
    own_sources,
    resolve_registered,
    resolver,
    source_hash,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nested:
    """Everything that a configuration may hold."""

    number: float = 0.1
    endless: float = math.inf
    path: Path = Path("a/b")
    sizes: tuple[int, ...] = (1, 2)
    table: dict[str, Any] = dataclasses.field(default_factory=lambda: {"a": (1, [None]), "b": True})
    function: Callable[..., Any] = np.sum
    partial: Callable[..., Any] = functools.partial(round, ndigits=2)
    inner: MLPConfig = dataclasses.field(default_factory=MLPConfig)


def _everything(name: str) -> Any:
    return resolver(run_directory=Path("/nowhere"))(name)


def _make() -> int:
    return 1


def test_a_configuration_survives_json() -> None:
    config = Nested(number=1 / 3, function=_make, inner=MLPConfig(hidden=(3,), activation="tanh"))
    stored = json.loads(json.dumps(describe(config), allow_nan=False))
    again = restore(stored, resolve=_everything)
    assert dataclasses.replace(again, partial=config.partial) == config
    assert again.partial(1.234) == 1.23


def test_a_field_of_another_version_is_said() -> None:
    stored = describe(MLPConfig(hidden=(3,)))
    assert isinstance(stored, dict)
    stored["fields"]["momentum"] = 0.9
    with pytest.raises(
        ValueError, match=r"MLPConfig has no field 'momentum', which was saved as 0.9: .* another version"
    ):
        restore(stored, resolve=_everything)


def test_a_learner_is_read_back_without_importing_foreign_modules() -> None:
    config = SACConfig(exploration=PinkNoise(octaves=3), actor=NetworkConfig(torso=MLPConfig(hidden=(7,))))
    assert restore(describe(config), resolve=resolve_registered) == config


def test_what_is_not_triax_own_is_not_imported_for_an_agent() -> None:
    with pytest.raises(CannotImport, match=r"tests.*Nested|test_description:Nested.*not part of Triax"):
        restore(describe(Nested()), resolve=resolve_registered)
    register(Nested)
    with pytest.raises(CannotImport, match="not part of Triax"):  # the class may be read now, its function may not
        restore(describe(Nested()), resolve=resolve_registered)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, object()]}, r"experiment\['a'\]\[1\]: .*object.* cannot be stored"),
        (lambda: 0, "no lambda"),
        ({1: 2}, "keys of a mapping must be strings"),
        ({"$type": 2}, "do not begin with"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_path(value: Any, message: str) -> None:
    with pytest.raises(CannotDescribe, match=message):
        describe(value)


def test_modules_that_a_description_names_are_listed() -> None:
    names = named_modules(describe(Nested(function=_make)))
    assert "triax.networks.mlp" in names
    assert __name__ in names


def test_a_changed_source_is_refused_before_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "changing_experiment.py"
    module.write_text("VALUE = 1\n")
    sources = own_sources({"changing_experiment", "numpy", "triax"})
    assert sources == {"changing_experiment": module}
    hashes = {"changing_experiment": source_hash(module)}
    paths = {"changing_experiment": str(module)}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder, known in ((tmp_path, {}), (tmp_path, paths), (elsewhere, paths)):
        monkeypatch.chdir(folder)
        module.write_text("VALUE = 1\n")
        check_sources(hashes=hashes, paths=known)
        module.write_text("raise AssertionError('imported')\n")
        with pytest.raises(SourceChanged, match=r"changing_experiment\.py has changed"):
            check_sources(hashes=hashes, paths=known)
    with pytest.raises(SourceChanged, match=r"no module 'changing_experiment' from .*elsewhere, so .*Resume from the"):
        check_sources(hashes=hashes, paths={})
    module.unlink()
    with pytest.raises(SourceChanged, match=r"elsewhere, nor is there .*changing_experiment.py, so that nothing tells"):
        check_sources(hashes=hashes, paths=paths)


def test_nothing_is_imported_from_the_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_directory = tmp_path / "run"
    run_directory.mkdir()
    (run_directory / "planted_module.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(run_directory))
    with pytest.raises(CannotImport, match="from the run directory"):
        resolver(run_directory=run_directory)("planted_module:anything")
    monkeypatch.chdir(run_directory)
    with pytest.raises(CannotImport, match="from the run directory"):
        resolver(run_directory=run_directory)("planted_module:anything")


def test_a_name_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotImport, match=r"no module 'no_such_module_anywhere'.*Resume from the folder"):
        _everything("no_such_module_anywhere:thing")
    with pytest.raises(CannotImport, match="has no 'Missing' any more"):
        _everything("triax.networks.mlp:Missing")
