"""Where datasets lie, and which ids they may have. The layout is Minari's: ``<root>/<id>/data``."""

import os
import re
from pathlib import Path

ID_PATTERN = re.compile(r"(?!./[^/]*$)(?:[-\w]+/)*[-\w]+-v\d+", re.ASCII)
"""Namespaces, of two letters or more, a name, and a version. Minari writes other ids too, and then cannot list the
folder any more."""


def datasets_root(*, root: Path | None) -> Path:
    """Find the folder of all datasets.

    :param root: the folder, if it is stated.
    :return: the stated folder; else that of the variable MINARI_DATASETS_PATH; else Minari's in the home folder.
    """
    if root is None:
        stated = os.environ.get("MINARI_DATASETS_PATH")
        root = Path(stated) if stated else Path.home() / ".minari" / "datasets"
    # Minari joins a relative path to itself.
    return root.absolute()


def data_folder(*, id: str, root: Path | None) -> Path:
    """Name the folder in which a dataset's data lies.

    :param id: the dataset's id.
    :param root: the folder of all datasets.
    :return: the folder, which need not exist.
    :raises ValueError: if the id is not one.
    """
    if not ID_PATTERN.fullmatch(id):
        raise ValueError(
            f"the dataset id {id!r} is malformed; an id is a name of letters, digits, - and _ with a version at its "
            "end, and before it, if any, a namespace of at least two of these, such as 'pendulum-expert-v0' or "
            "'mine/pendulum-expert-v0'."
        )
    return datasets_root(root=root) / id / "data"


def list_datasets(*, root: Path | None = None) -> tuple[str, ...]:
    """List the ids of the datasets that are there.

    :param root: the folder of all datasets; None: the one that Minari takes.
    :return: ids in alphabetical order.
    """
    folder = datasets_root(root=root)
    found = (path.parent.parent.relative_to(folder).as_posix() for path in folder.rglob("data/metadata.json"))
    return tuple(sorted(id for id in found if ID_PATTERN.fullmatch(id)))
