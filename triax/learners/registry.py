"""The learner configs that a stored agent may name.

Loading an agent builds its learner from a description on disk. Only classes that were registered here, by an import
that the user chose to make, are built from it.
"""

from typing import Any, TypeVar

_Config = TypeVar("_Config", bound=type[Any])

_REGISTERED: dict[str, type[Any]] = {}


def register(config: _Config) -> _Config:
    """Allow a dataclass to be read back from a run directory; a decorator.

    :param config: a frozen dataclass, such as a learner's config.
    :return: the same class.
    """
    _REGISTERED[f"{config.__module__}:{config.__qualname__}"] = config
    return config


def registered(name: str) -> type[Any] | None:
    """Look a class up.

    :param name: ``module:qualified name``.
    :return: the class, or None if nobody registered it.
    """
    return _REGISTERED.get(name)
