"""The learner configs that a stored agent may name.

Loading an agent builds its learner from a description on disk. Only classes that were registered here, by an import
that the user chose to make, are built from it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

_Config = TypeVar("_Config", bound=Callable[..., Any])

_REGISTERED: dict[str, Any] = {}


def register(config: _Config) -> _Config:
    """Allow a dataclass, or a function that a config names, to be read back from a run directory; a decorator.

    :param config: a frozen dataclass, such as a learner's config; or a function.
    :return: the same.
    """
    _REGISTERED[f"{config.__module__}:{config.__qualname__}"] = config
    return config


def registered(name: str) -> Any:
    """Look a class or a function up.

    :param name: ``module:qualified name``.
    :return: the same, or None if nobody registered it.
    """
    return _REGISTERED.get(name)
