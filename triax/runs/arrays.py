"""A tree of arrays as one ``safetensors`` file, and back, bit for bit.

The format is that of the safetensors library, which reads these files (a test holds that): eight bytes of header
length, a JSON header with the dtype, the shape and the place of each array, and the arrays' bytes. It is written here,
and not by the library, for three reasons: the arrays are streamed and hashed one after the other, where the library
copies a 200 MB replay first; a full disk raises the system's own ``OSError``, where the library raises an error
without a number; and an array that is not contiguous is copied, where the library's NumPy writer stores what
happens to lie in memory behind its first element.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

Tree: TypeAlias = Any
"""A pytree of numeric arrays: NumPy or JAX arrays, NumPy scalars, Python's bool, int and float."""

T = TypeVar("T")

_DTYPE_OF_CODE: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(jnp.bfloat16),
    "F8_E4M3": np.dtype(jnp.float8_e4m3fn),
    "F8_E5M2": np.dtype(jnp.float8_e5m2),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "F32": np.dtype(np.float32),
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F64": np.dtype(np.float64),
    "C64": np.dtype(np.complex64),
}
_CODE_OF_DTYPE = {dtype: code for code, dtype in _DTYPE_OF_CODE.items()}
_PYTHON_SCALARS: Mapping[type, np.dtype[Any]] = {
    bool: np.dtype(np.bool_),
    int: np.dtype(np.int64),
    float: np.dtype(np.float64),
}


@dataclass(frozen=True, kw_only=True)
class LeafType:
    """What an array is, its values apart.

    :param dtype: its dtype, in the byte order of this machine.
    :param shape: its shape.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return self.dtype.itemsize * math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


class TreeMismatch(Exception):
    """A file and a template differ; the message says in which leaf."""


def named_leaves(tree: Tree) -> dict[str, Any]:
    """List the leaves of a tree under the names that they have in a file.

    :param tree: the tree; ``None`` and empty containers have no leaves.
    :return: the leaves by path (``jax.tree_util.keystr``), in the tree's order.
    :raises TypeError: if two leaves have the same path.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path)
        if name in leaves:
            raise TypeError(f"two leaves have the path {name!r}")
        leaves[name] = leaf
    return leaves


def leaf_type(leaf: object, *, name: str) -> LeafType:
    """Describe a leaf.

    :param leaf: an array, a ``jax.ShapeDtypeStruct``, or a number.
    :param name: its path, for messages.
    :return: its dtype and shape.
    :raises TypeError: if a file cannot hold it.
    """
    if type(leaf) in _PYTHON_SCALARS:
        if type(leaf) is int and not -(2**63) <= leaf < 2**63:
            raise TypeError(f"{name or 'the root'}: the integer {leaf} has more than 64 bits")
        return LeafType(dtype=_PYTHON_SCALARS[type(leaf)], shape=())
    if not (hasattr(leaf, "dtype") and hasattr(leaf, "shape")):
        raise TypeError(f"{name or 'the root'}: {type(leaf).__name__} is not an array of numbers")
    if jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        raise TypeError(f"{name or 'the root'}: {leaf.dtype} has no bytes of its own; give jax.random.key_data(...)")
    dtype = np.dtype(leaf.dtype).newbyteorder("=")
    if dtype not in _CODE_OF_DTYPE:
        raise TypeError(f"{name or 'the root'}: arrays of {dtype} cannot be stored")
    return LeafType(dtype=dtype, shape=tuple(leaf.shape))


def encode_leaves(leaves: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """Encode leaves as the content of a safetensors file.

    :param leaves: the leaves by path.
    :return: the file in pieces: the header, then one array after the other, each brought to the host when its turn
        comes.
    :raises TypeError: at the first piece, if a file cannot hold a leaf.
    """
    types = {name: leaf_type(leaf, name=name) for name, leaf in leaves.items()}
    # Wide dtypes first, as the library does: then every array begins at a multiple of its item size.
    order = sorted(types, key=lambda name: (-types[name].dtype.itemsize, name))
    header: dict[str, object] = {}
    begin = 0
    for name in order:
        end = begin + types[name].size
        shape, code = list(types[name].shape), _CODE_OF_DTYPE[types[name].dtype]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in order:
        if math.prod(types[name].shape):
            little_endian = types[name].dtype.newbyteorder("<")
            # A view of the bytes, since the buffer protocol knows neither bfloat16 nor byte order.
            array = np.asarray(leaves[name]).astype(little_endian, order="C", copy=False)
            yield array.reshape(-1).view(np.uint8).data


def decode_leaves(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file that :func:`encode_leaves` wrote and whose checksum was verified.

    :param path: the file.
    :return: the arrays by path; each owns its memory.
    :raises OSError: if it cannot be read.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            little_endian = _DTYPE_OF_CODE[entry["dtype"]].newbyteorder("<")
            file.seek(start + entry["data_offsets"][0])
            flat = np.fromfile(file, dtype=little_endian, count=math.prod(entry["shape"]))
            arrays[name] = flat.reshape(entry["shape"]).astype(little_endian.newbyteorder("="), copy=False)
    return arrays


def restore_tree(*, arrays: Mapping[str, NDArray[Any]], template: T, exact_shapes: bool) -> T:
    """Put arrays in the places of a template's leaves.

    :param arrays: the arrays by path.
    :param template: the tree to imitate. Its arrays may be ``jax.ShapeDtypeStruct``. A Python number gets back a Python
        number of its type, a NumPy scalar a NumPy scalar, an array of foreign byte order an array of that order, and
        everything else a NumPy array.
    :param exact_shapes: whether shapes have to be the template's; dtypes always have to.
    :return: the tree.
    :raises TreeMismatch: if leaves are missing or too many, or differ in dtype or shape.
    """
    expected = named_leaves(template)
    types = {name: leaf_type(leaf, name=name) for name, leaf in expected.items()}
    stored = {name: LeafType(dtype=array.dtype, shape=array.shape) for name, array in arrays.items()}
    problems = [f"{name or 'the root'}: missing; expected {types[name]}" for name in types if name not in stored]
    problems += [f"{name or 'the root'}: stored {stored[name]}; expected nothing" for name in stored.keys() - types]
    for name in types.keys() & stored:
        # A number is a number, whatever is asked of the shapes of arrays.
        exact = exact_shapes or types[name].shape == ()
        if stored[name].dtype != types[name].dtype or (exact and stored[name].shape != types[name].shape):
            problems.append(f"{name or 'the root'}: stored {stored[name]}; expected {types[name]}")
    if problems:
        shown = sorted(problems)[:8]
        more = [f"and {len(problems) - len(shown)} more leaves"] if len(problems) > len(shown) else []
        raise TreeMismatch("\n".join([*shown, *more]))
    leaves = [_like(array=arrays[name], template=leaf) for name, leaf in expected.items()]
    return cast(T, jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(template), leaves))


def _like(*, array: NDArray[Any], template: object) -> object:
    if type(template) in _PYTHON_SCALARS:
        return array.item()
    if isinstance(template, np.generic):
        return array[()]
    if isinstance(template, np.ndarray):
        return array.astype(template.dtype, copy=False)
    return array
