"""Names of importable things, and the way back from a name to the thing.

What a run stores is a name such as ``experiments.pendulum:make_environment``. When it is resumed, the name is looked
up from where the user stands: among what is loaded, in the import path, and in the current folder. The source found
is compared by hash with the source of then *before* it is imported, and nothing inside the run directory is ever
imported. Where no module of that name is found, the source is compared at the place where it was then.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import triax.learners.registry


class CannotImport(ImportError):
    """A name that a run directory holds cannot be looked up, or may not be."""


class SourceChanged(ValueError):
    """The Python source of an experiment is not what it was when the run began, or that cannot be told."""


def importable_name(value: Any) -> str:
    """Name a function or a class such that it can be imported again.

    :param value: a function or a class.
    :return: ``module:qualified name``.
    :raises ValueError: if it was defined inside a function, or by ``lambda``.
    """
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module is None or name is None or "<" in name:
        raise ValueError(
            f"{value!r} cannot be imported by a name; define it at the top level of a module (no lambda, no inner "
            "function)."
        )
    return f"{main_module_name() if module == '__main__' else module}:{name}"


def main_module_name() -> str:
    """Name the module that Python was started with, as it can be imported from the current folder.

    :return: a dotted name; ``__main__`` for an interactive session, and for what is read from standard input.
    """
    main = sys.modules["__main__"]
    specification = getattr(main, "__spec__", None)
    if specification is not None and specification.name:
        return str(specification.name).removesuffix(".__main__")
    path = _main_file()
    if path is None:
        return "__main__"
    root = Path.cwd() if path.is_relative_to(Path.cwd()) else path.parent
    return ".".join(path.relative_to(root).with_suffix("").parts)


def own_sources(modules: set[str]) -> dict[str, Path]:
    """Find the sources of modules, those of installed packages left out.

    :param modules: dotted names.
    :return: absolute paths by name.
    """
    found = {name: _source_path(name) for name in sorted(modules)}
    return {name: path for name, path in found.items() if path is not None and not is_installed(path)}


def source_hash(path: Path) -> str:
    """Hash a source.

    :param path: the file.
    :return: its SHA-256.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_sources(*, hashes: Mapping[str, str], paths: Mapping[str, str]) -> None:
    """Compare the sources of now with those of then: those that would be imported, or else those at their old places.

    :param hashes: what :func:`source_hash` gave then, by the modules' names.
    :param paths: where they were then; may lack some.
    :raises SourceChanged: if one differs, or is nowhere.
    """
    for name, then in hashes.items():
        before = Path(paths[name]) if name in paths else None
        path = _source_path(name) or before
        if path is None or not path.is_file():
            place = "" if before is None else f", nor is there {before}"
            raise SourceChanged(
                f"Python finds no module {name!r} from {Path.cwd()}{place}, so that nothing tells whether it has "
                "changed since the run began. Resume from the folder in which the run was started, or say "
                "--allow-changed-source to go on with what the run stored."
            )
        if source_hash(path) != then:
            raise SourceChanged(
                f"{path} has changed since the run began, so that resuming would not continue the same "
                "experiment. Take the "
                "old version, start a new run, or say --allow-changed-source to go on with what the run stored."
            )


def is_installed(path: Path) -> bool:
    """Tell whether a source belongs to Triax, to Python or to an installed package, and not to the user.

    :param path: the file.
    :return: whether it does.
    """
    own = Path(triax.__file__).resolve().parent
    return "site-packages" in path.parts or path.is_relative_to(own) or path.is_relative_to(sys.base_prefix)


def resolve_registered(name: str) -> Any:
    """Look up a name without importing anything that is not Triax's own or registered.

    :param name: ``module:qualified name``.
    :return: the thing.
    :raises CannotImport: if the name is neither.
    """
    found = triax.learners.registry.registered(name)
    if found is not None:
        return found
    module = name.split(":")[0]
    if module == "triax" or module.startswith("triax."):
        return _attribute(importlib.import_module(module), name)
    raise CannotImport(
        f"the run names {name}, which is not part of Triax. Loading an agent runs no code of the run's: import "
        "the module "
        "that registers the class with triax.register first."
    )


def resolver(*, run_directory: Path) -> Any:
    """Make a resolver that imports from where the user stands.

    :param run_directory: nothing below it is imported.
    :return: from ``module:qualified name`` to the thing.
    """

    def resolve(name: str) -> Any:
        module = name.split(":")[0]
        if module == main_module_name():
            return _attribute(sys.modules["__main__"], name)
        path = _source_path(module)
        if path is not None and path.is_relative_to(run_directory.resolve()):
            raise CannotImport(f"{name} would be imported from the run directory {run_directory}; it is not.")
        here = str(Path.cwd())
        if here not in sys.path and "" not in sys.path:
            # It stays: worker processes import the same things, and look where this process would.
            sys.path.append(here)
        try:
            return _attribute(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            raise CannotImport(
                f"the run needs {name}, and Python finds no module {error.name!r} from {here}. Resume from the "
                "folder in "
                "which the run was started."
            ) from error

    return resolve


def _attribute(module: ModuleType, name: str) -> Any:
    value: Any = module
    for part in name.split(":")[1].split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise CannotImport(f"the run needs {name}, and {module.__name__} has no {part!r} any more.") from None
    return value


def _main_file() -> Path | None:
    # Python calls it "<stdin>" where there is none.
    file = getattr(sys.modules["__main__"], "__file__", None)
    return None if file is None or not Path(file).is_file() else Path(file).resolve()


def _source_path(module: str) -> Path | None:
    if module == main_module_name():
        return _main_file()
    loaded = sys.modules.get(module)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        return None if file is None else Path(file).resolve()
    # Found as a file, not through find_spec, which would run the parent packages.
    for root in (*map(Path, filter(None, sys.path)), Path.cwd()):
        candidate = root.joinpath(*module.split("."))
        for path in (candidate.with_suffix(".py"), candidate / "__init__.py"):
            if path.is_file():
                return path.resolve()
    return None
