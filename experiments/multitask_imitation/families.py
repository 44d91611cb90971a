"""The families of tasks: one environment whose physics differs in a single number, from variant to variant.

Source and held-out variants lie on two grids that have no value in common: the sources are the ends and the middle
points of a range, the held-out ones lie between two neighbours. Of the latter, some are for choosing settings (amounts
of data, learning rates), and the others are reported.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

import triax
from triax.environments import LevelAction
from triax.environments.physics import PhysicsParameter, RandomisedPhysics, Uniform

SOURCES = 16
"""How many source tasks a family has."""
TUNING_GAPS = (2, 7, 12)
"""Behind which sources the variants for choosing settings lie."""
REPORTED_GAPS = (0, 4, 9, 14)
"""Behind which sources the variants lie that are reported."""

NETWORK = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(64, 64)))
"""Of all policies and critics."""

Wrapper = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """One environment in many variants, and how an expert is made for each."""

    name: str
    """Names files and curves."""
    environment: str
    """Gymnasium's id."""
    element: str
    """Of the model, whose physics varies; see :class:`triax.environments.physics.PhysicsParameter`."""
    attribute: str
    """Of the element."""
    quantity: str
    """What it is, with its unit, for people."""
    sign: float = 1.0
    """By which the values are multiplied: gravity points down."""
    low: float
    """The smallest value of a source task."""
    high: float
    """The largest."""
    wrappers: tuple[Wrapper, ...] = ()
    """Around all variants."""
    expert: triax.SACConfig
    """How the expert learns."""
    expert_steps: int
    """Environment steps of the expert, in all variants together."""
    solved_return: float | None = None
    """An evaluation that reaches this ends the expert's training early."""
    recorded_episodes: int
    """Of each variant."""
    recorded_steps: int
    """Of each episode, from its start on: what an expert does once it has arrived says nothing of how to get there."""
    source_transitions: int
    """That each source task gives to pre-training."""
    least_transitions: int
    """Of a held-out variant: the smallest amount that is learned from."""

    @property
    def sources(self) -> tuple[float, ...]:
        """The values of the source tasks, in rising order."""
        return tuple(float(value) for value in np.round(np.linspace(self.low, self.high, SOURCES), 4))

    @property
    def tuning(self) -> tuple[float, ...]:
        """The values of the held-out variants that settings were chosen on."""
        return self._between(TUNING_GAPS)

    @property
    def reported(self) -> tuple[float, ...]:
        """The values of the held-out variants that results are reported of."""
        return self._between(REPORTED_GAPS)

    @property
    def action_kind(self) -> str:
        """Whether actions are continuous or discrete."""
        return (
            "discrete"
            if any(isinstance(it, functools.partial) and it.func is LevelAction for it in self.wrappers)
            else "continuous"
        )

    @property
    def parameter(self) -> PhysicsParameter:
        """What varies, over the whole range."""
        bounds = sorted((self.sign * self.low, self.sign * self.high))
        return PhysicsParameter(
            element=self.element, attribute=self.attribute, distribution=Uniform(low=bounds[0], high=bounds[1])
        )

    def variant(self, value: float, *, show: bool = False) -> triax.EnvironmentConfig:
        """Describe the environment of a variant.

        :param value: of the quantity that varies.
        :param show: whether the policy sees it, as the expert does and no clone.
        :return: the environment.
        """
        fixed = {self.parameter.name: self.sign * value}
        physics = functools.partial(RandomisedPhysics, table=(self.parameter,), fixed=fixed, show=show)
        return triax.EnvironmentConfig(id=self.environment, wrappers=(physics, *self.wrappers))

    def all_variants(self) -> triax.EnvironmentConfig:
        """Describe an environment that is another variant in each episode, and shows which.

        :return: the environment.
        """
        physics = functools.partial(RandomisedPhysics, table=(self.parameter,), show=True)
        return triax.EnvironmentConfig(id=self.environment, wrappers=(physics, *self.wrappers))

    def _between(self, gaps: tuple[int, ...]) -> tuple[float, ...]:
        sources = np.linspace(self.low, self.high, SOURCES)
        return tuple(float(np.round((sources[gap] + sources[gap + 1]) / 2.0, 4)) for gap in gaps)


_OPTIMIZER = triax.OptimizerConfig(learning_rate=1e-3)
_SAC = triax.SACConfig(
    # Short horizons and small returns: critics learn within a few thousand steps.
    discount=0.97,
    reward_scale=0.1,
    target_rate=0.02,
    initial_temperature=0.05,
    actor=NETWORK,
    critic=NETWORK,
    batch_size=128,
    warmup_steps=500,
    actor_optimizer=_OPTIMIZER,
    critic_optimizer=_OPTIMIZER,
    temperature_optimizer=_OPTIMIZER,
)

PENDULUM = Family(
    name="pendulum",
    environment="triax/Pendulum-v0",
    element="environment",
    attribute="max_torque",
    quantity="maximum torque (N m)",
    low=1.5,
    high=4.0,
    wrappers=(functools.partial(LevelAction, levels=11),),
    expert=_SAC,
    expert_steps=10_000,
    recorded_episodes=20,
    recorded_steps=100,
    source_transitions=1000,
    least_transitions=100,
)
"""The swing-up of a pendulum whose motor is weak or strong, with 11 levels of torque: discrete actions."""

DOUBLE_PENDULUM = Family(
    name="double_pendulum",
    environment="InvertedDoublePendulum-v5",
    element="option",
    attribute="gravity[2]",
    quantity="gravity (m/s²)",
    sign=-1.0,
    low=5.0,
    high=15.0,
    expert=dataclasses.replace(_SAC, discount=0.95),
    expert_steps=16_000,
    solved_return=9300.0,
    recorded_episodes=40,
    recorded_steps=50,
    source_transitions=1000,
    least_transitions=100,
)
"""The balance of a double pendulum on a cart, under weak or strong gravity: continuous actions."""

FAMILIES = {family.name: family for family in (PENDULUM, DOUBLE_PENDULUM)}
