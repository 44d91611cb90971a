"""What the files of a dataset may hold. They may come from anywhere: numbers are read from them, and nothing else is
followed, made or imported.
"""

import json
from pathlib import Path
from typing import Any

HDF5_FILE = "main_data.hdf5"


def check_files(*, id: str, folder: Path) -> None:
    """Refuse what leads out of a dataset's own file, or is no array of numbers.

    That is: metadata without spaces (Minari would make the environment that it names), another format than HDF5, soft
    and external links, second hard links, arrays whose bytes lie in other files, references, and other types of
    objects. Strings are permitted, since Minari keeps what an environment's ``info`` says, and bytes of variable
    length, as which it keeps compressed images.

    :param id: the dataset's.
    :param folder: with its files.
    :raises ValueError: with the reason, and where in the file.
    """
    try:
        metadata: Any = json.loads((folder / "metadata.json").read_text())
    except ValueError as error:
        raise ValueError(f"the dataset {id!r} is damaged: its metadata.json is no JSON ({error}).") from None
    if not isinstance(metadata, dict) or not all(
        isinstance(metadata.get(name), str) for name in ("observation_space", "action_space")
    ):
        raise ValueError(
            f"the dataset {id!r} does not say what its spaces are, and the environment that it names is not made to "
            "find out; write it again with its observation space and action space."
        )
    if metadata.get("data_format") != "hdf5":
        raise ValueError(
            f"the dataset {id!r} has the format {metadata.get('data_format')!r}; convert it to HDF5, the only one that "
            "is read."
        )
    import h5py  # slow to import

    try:
        file = h5py.File(folder / HDF5_FILE, "r")
    except OSError as error:
        raise ValueError(f"the dataset {id!r} is damaged: {folder / HDF5_FILE} cannot be opened ({error}).") from None
    with file:
        _check_group(id=id, group=file, seen={_address(file)})


def _check_group(*, id: str, group: Any, seen: set[int]) -> None:
    import h5py

    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        if type(group.get(name, getlink=True)) is not h5py.HardLink:
            _refuse(id=id, where=where, what="a link to somewhere else")
        item = group[name]
        if _address(item) in seen:
            # Groups can hold themselves, and few of them a great number of paths.
            _refuse(id=id, where=where, what="what stands elsewhere in the file, too,")
        seen.add(_address(item))
        if isinstance(item, h5py.Group):
            _check_group(id=id, group=item, seen=seen)
        elif not isinstance(item, h5py.Dataset):
            _refuse(id=id, where=where, what="no array")
        elif item.external or item.is_virtual:
            _refuse(id=id, where=where, what="an array whose values lie in other files")
        elif not _is_plain(item.dtype):
            _refuse(id=id, where=where, what=f"an array of objects ({item.dtype})")


def _address(item: Any) -> int:
    import h5py

    return int(h5py.h5o.get_info(item.id).addr)


def _is_plain(dtype: Any) -> bool:
    import h5py

    if dtype.kind != "O":
        # Records, references in them included, are no numbers either.
        return dtype.kind in "biufS"
    return h5py.check_string_dtype(dtype) is not None or h5py.check_vlen_dtype(dtype) == "uint8"


def _refuse(*, id: str, where: str, what: str) -> None:
    raise ValueError(
        f"the dataset {id!r} holds {what} at {where}, which is not read; write it again as arrays of numbers."
    )
