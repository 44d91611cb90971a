"""Seeds and keys: the only place where the project makes one.

Every random number follows from the run's seed and a *name*: a path such as ``("environment", 3, "episode", 17)``. Two
different names give independent streams, the same name gives the same one, in any order and in any process. So there is
no random state to save: a resumed run derives what the stopped one would have derived.
"""

import hashlib
import json
import operator
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

Name: TypeAlias = str | int
KeyArray: TypeAlias = jax.Array
"""A typed JAX key (or an array of them)."""

ENVIRONMENT_SEED_LIMIT = 2**31
"""Environments get seeds below this: some (ALE, dm_control) refuse larger ones."""


def derive_seed(*, seed: int, name: tuple[Name, ...], limit: int = 2**64) -> int:
    """Derive a seed for a named purpose.

    :param seed: the run's seed, any integer.
    :param name: what the seed is for; strings and integers.
    :param limit: the result is below it; at most 2¹²⁸.
    :return: an integer in [0, limit).
    """
    # JSON keeps names apart, whatever characters they hold; a NumPy integer names the same thing as a plain one.
    parts = [part if isinstance(part, str) else int(operator.index(part)) for part in (seed, *name)]
    text = json.dumps(parts)
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:16], "little") % limit


def derive_key(*, seed: int, name: tuple[Name, ...]) -> KeyArray:
    """Derive a JAX key for a named purpose.

    :param seed: the run's seed.
    :param name: what the key is for.
    :return: a typed key with all its 64 bits in use.
    """
    bits = derive_seed(seed=seed, name=name)
    halves = jnp.array([bits >> 32, bits & 0xFFFFFFFF], dtype=jnp.uint32)
    key: KeyArray = jax.random.wrap_key_data(halves, impl="threefry2x32")
    return key


def key_from_data(*, data: jax.Array, like: KeyArray) -> KeyArray:
    """Make a key again of what ``jax.random.key_data`` gave.

    :param data: the key's numbers.
    :param like: a key of the same kind.
    :return: the key.
    """
    key: KeyArray = jax.random.wrap_key_data(data, impl=jax.random.key_impl(like))
    return key


def derive_generator(*, seed: int, name: tuple[Name, ...]) -> np.random.Generator:
    """Derive a NumPy generator for a named purpose.

    :param seed: the run's seed.
    :param name: what the generator is for.
    :return: a fresh generator; making one takes some 10 µs.
    """
    return np.random.Generator(np.random.Philox(key=derive_seed(seed=seed, name=name, limit=2**128)))


def episode_seed(*, seed: int, environment: int, episode: int) -> int:
    """Derive the seed with which an environment is reset for an episode.

    :param seed: a seed that is already specific to the purpose (training, evaluation).
    :param environment: the environment's number in the run.
    :param episode: the episode's number in that environment.
    :return: an integer in [0, 2³¹).
    """
    return derive_seed(seed=seed, name=("environment", environment, "episode", episode), limit=ENVIRONMENT_SEED_LIMIT)
