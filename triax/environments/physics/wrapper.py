"""The wrapper that samples a world, brings it into an environment, and tells which one it is."""

from collections.abc import Mapping
from typing import Any, Literal

import gymnasium
import numpy as np

from triax.environments.physics.appliers import make_appliers
from triax.environments.physics.parameters import PhysicsSample, PhysicsTable, check_table, episode_physics

PHYSICS = "physics"
"""The key of ``info``, of the observation if it is shown there, and of the options of ``reset``."""


class RandomisedPhysics(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """An environment whose physics is drawn from a table.

    What was drawn follows from the seed of the reset alone (or from ``seed``, if it is drawn at construction), so that
    an episode that is begun again from its seed has the same physics. It stands in ``info["physics"]`` after every
    reset and every step, by the parameters' names. ``reset(options={"physics": record})`` gives an episode the values
    of such a record, or of a part of it.

    :ivar table: what is randomised.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        table: PhysicsTable,
        when: Literal["reset", "construction"] = "reset",
        fixed: Mapping[str, float] | None = None,
        show: bool = False,
        seed: int = 0,
    ) -> None:
        """Wrap an environment.

        :param env: an environment of Gymnasium's MuJoCo or of :func:`~triax.environments.dm_control_environment`; any
            environment, if the table has attributes of the Python object alone.
        :param table: what is randomised, and how.
        :param when: whether the physics is drawn anew at every reset, or once.
        :param fixed: values that are not drawn, by the parameters' names: a whole ``info["physics"]`` replays it.
        :param show: whether the policy sees the parameters. The observation is then a dict of the ``"observation"`` and
            of ``"physics"``, a vector in the table's order, scaled to [-1, 1] between the bounds; an observation that
            is a dict gets ``"physics"`` as one more entry.
        :param seed: of what is drawn at construction; not looked at otherwise.
        :raises UnknownPhysicsElement: if the environment lacks an element or attribute of the table, or the table a
            parameter that is fixed; with the names that are there.
        :raises ValueError: if the table is empty, has a parameter twice or one that changes nothing, or a fixed value
            lies outside the bounds and is to be shown.
        """
        gymnasium.utils.RecordConstructorArgs.__init__(self, table=table, when=when, fixed=fixed, show=show, seed=seed)
        gymnasium.Wrapper.__init__(self, env)
        check_table(table)
        if when not in ("reset", "construction"):
            raise ValueError(f"RandomisedPhysics: `when` has to be 'reset' or 'construction', and is {when!r}.")
        self.table = table
        self._at_reset = when == "reset"
        self._fixed = dict(fixed or {})
        self._show = show
        self._has_parts = isinstance(env.observation_space, gymnasium.spaces.Dict)
        self._appliers = make_appliers(environment=env, table=table)
        if show:
            self.observation_space = self._shown_space()
        self._take(self._sampled(seed))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, in a new world if it is drawn at every reset.

        :param seed: of the episode and its physics. Without one, the environment's own stream of random numbers gives
            the seed of the physics, as of everything else.
        :param options: the environment's; and ``"physics"``, values in the place of those that would be drawn.
        :return: the first observation, and ``info``.
        :raises PhysicsOverwritten: if the environment's own reset changed a sampled number.
        """
        options = dict(options or {})
        replayed = options.pop(PHYSICS, None)
        if self._at_reset:
            # Wrappers and dm_control's environments have other generators; the innermost stream is the episode's.
            drawn = int(self.unwrapped.np_random.random() * 2**53) if seed is None else seed
            sampled = self._sampled(drawn)
            self._take(sampled if replayed is None else sampled.replace(replayed))
        elif replayed is not None:
            raise ValueError("RandomisedPhysics(when='construction') cannot change the physics at a reset.")
        observation, info = self.env.reset(seed=seed, options=options or None)
        for applier in self._appliers:
            applier.check()
        return self._with_physics(observation), self._with_record(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step; see :meth:`gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._with_physics(observation), reward, terminated, truncated, self._with_record(info)

    def _sampled(self, seed: int) -> PhysicsSample:
        """Sample a world; what is fixed takes nothing from the others' randomness."""
        return episode_physics(table=self.table, seed=seed).replace(self._fixed)

    def _take(self, sampled: PhysicsSample) -> None:
        """Bring a world into the environment."""
        shown = sampled.to_unit(self.table)
        if self._show and not (np.abs(shown) <= 1.0 + 1e-6).all():
            names = [row.name for row, unit in zip(self.table, shown, strict=True) if abs(unit) > 1.0 + 1e-6]
            raise ValueError(
                f"RandomisedPhysics: {names[0]!r} was fixed to {sampled.values[names[0]]}, which lies outside its "
                "bounds, and cannot be shown to a policy. Widen the distribution, or take show=False."
            )
        for applier in self._appliers:
            applier.apply(sampled.values)
        self._record = dict(sampled.values)
        self._shown = np.clip(shown, -1.0, 1.0)

    def _shown_space(self) -> gymnasium.Space[Any]:
        bounds = gymnasium.spaces.Box(-1.0, 1.0, (len(self.table),), np.float32)
        space = self.env.observation_space
        parts = dict(space.spaces) if isinstance(space, gymnasium.spaces.Dict) else {"observation": space}
        if PHYSICS in parts:
            raise ValueError(f"RandomisedPhysics: the observation has a part {PHYSICS!r} already; take show=False.")
        return gymnasium.spaces.Dict({**parts, PHYSICS: bounds})

    def _with_physics(self, observation: Any) -> Any:
        if not self._show:
            return observation
        parts = observation if self._has_parts else {"observation": observation}
        return {**parts, PHYSICS: self._shown.copy()}

    def _with_record(self, info: dict[str, Any]) -> dict[str, Any]:
        return {**info, PHYSICS: dict(self._record)}
