"""Writes the pages of the reference: the public names, and one page a module, which Sphinx fills from docstrings."""

import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import triax

PUBLIC_INTRODUCTION = """\
What ``import triax`` offers. Each name leads to the module that defines it; the rest of the reference is ordered by
module.
"""


def modules() -> list[str]:
    """List the library's public modules.

    :return: dotted names, sorted; those with a part that begins with an underscore are left out.
    """
    found = [info.name for info in pkgutil.walk_packages(triax.__path__, prefix="triax.")]
    return sorted(name for name in ["triax", *found] if not any(part.startswith("_") for part in name.split(".")))


def write(*, folder: Path) -> None:
    """Write all pages; those of modules that are gone are removed.

    :param folder: where.
    """
    folder.mkdir(exist_ok=True)
    names = modules()
    pages = {"index": _index(names), "public": _public(triax)}
    pages |= {name: _module(name=name, children=_children(name=name, names=names)) for name in names if name != "triax"}
    for stale in folder.glob("*.rst"):
        if stale.stem not in pages:
            stale.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        # Left alone where nothing changed, so that Sphinx reads only what did.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _children(*, name: str, names: list[str]) -> list[str]:
    return [other for other in names if other.rpartition(".")[0] == name]


def _index(names: list[str]) -> str:
    return "\n".join(
        [_title("Reference"), *_contents(pages=["public", *_children(name="triax", names=names)], depth=1)]
    )


def _public(package: ModuleType) -> str:
    lines = [_title("The public names"), PUBLIC_INTRODUCTION]
    for name in getattr(package, "__all__", ()):
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            summary = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
            role = "class" if inspect.isclass(value) else "func"
            lines += [f":py:{role}:`triax.{name} <{value.__module__}.{value.__qualname__}>`", f"    {summary}", ""]
    return "\n".join(lines)


def _module(*, name: str, children: list[str]) -> str:
    lines = [_title(name), f".. automodule:: {name}", ""]
    return "\n".join([*lines, *(_contents(pages=children, depth=1) if children else [])])


def _contents(*, pages: list[str], depth: int) -> list[str]:
    return [".. toctree::", f"   :maxdepth: {depth}", "", *(f"   {page}" for page in pages), ""]


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"
