"""Estimators of advantages, to choose from in configs: what an action was worth beyond what was expected."""

import abc
import dataclasses
import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from triax.learners.registry import register
from triax.objectives.advantage import Advantages, generalised_advantages, n_step_advantages, vtrace
from triax.trees import replace
from triax.types import Trajectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdvantageEstimator(abc.ABC):
    """How advantages and value targets are computed from a chunk; make subclasses for estimators of your own.

    :cvar corrects_lag: whether it corrects for chunks that an older policy made; then it is told the log-ratios.
    """

    corrects_lag: ClassVar[bool] = False

    @abc.abstractmethod
    def estimate(
        self,
        *,
        chunk: Trajectory,
        value: Float[Array, "rows B"],
        log_ratio: Float[Array, "T B"] | None,
        discount: float,
    ) -> Advantages:
        """Estimate.

        :param chunk: the experience.
        :param value: V of its observations, in units of rewards, [T + 1, B].
        :param log_ratio: of the policy of now to the one that acted, [T, B]; None unless ``corrects_lag``.
        :param discount: γ.
        :return: advantages and value targets.
        """


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class MonteCarlo(AdvantageEstimator):
    """Returns to the end of the episode.

    Where the episode was cut off (by a time limit, or by the end of the chunk) the value of the observation there
    stands for the rest of the return.
    """

    baseline: bool = True
    """Whether the value of the observation is subtracted, for less variance."""

    def estimate(
        self,
        *,
        chunk: Trajectory,
        value: Float[Array, "rows B"],
        log_ratio: Float[Array, "T B"] | None,
        discount: float,
    ) -> Advantages:
        """Sum the rewards to the end; see :meth:`AdvantageEstimator.estimate`."""
        returns = Generalised(gae_lambda=1.0).estimate(chunk=chunk, value=value, log_ratio=log_ratio, discount=discount)
        if self.baseline:
            return returns
        return replace(returns, advantage=jnp.where(jnp.asarray(chunk.valid), returns.value_target, 0.0))


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class NStep(AdvantageEstimator):
    """n-step returns (:func:`triax.objectives.advantage.n_step_advantages`)."""

    n: int | None = None
    """Rewards before the value of the observation that they lead to; None: as many as the chunk has, as in Mnih et al.
    2016 (arXiv:1602.01783)."""

    def __post_init__(self) -> None:
        """Check the value."""
        if self.n is not None and self.n < 1:
            raise ValueError(f"NStep.n={self.n} must be at least 1, or None.")

    def estimate(
        self,
        *,
        chunk: Trajectory,
        value: Float[Array, "rows B"],
        log_ratio: Float[Array, "T B"] | None,
        discount: float,
    ) -> Advantages:
        """Sum n rewards; see :meth:`AdvantageEstimator.estimate`."""
        if self.n is None:
            return MonteCarlo().estimate(chunk=chunk, value=value, log_ratio=log_ratio, discount=discount)
        return n_step_advantages(
            reward=chunk.reward,
            terminated=chunk.terminated,
            is_last=chunk.is_last,
            value=value,
            discount=discount,
            n=self.n,
        )


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class Generalised(AdvantageEstimator):
    """Generalised advantage estimation (:func:`triax.objectives.advantage.generalised_advantages`)."""

    gae_lambda: float = 0.95
    """λ in [0, 1]: 0 looks one step ahead, 1 to the end."""

    def __post_init__(self) -> None:
        """Check the value."""
        if not 0.0 <= self.gae_lambda <= 1.0:
            raise ValueError(f"{type(self).__name__}.gae_lambda={self.gae_lambda} must lie in [0, 1].")

    def estimate(
        self,
        *,
        chunk: Trajectory,
        value: Float[Array, "rows B"],
        log_ratio: Float[Array, "T B"] | None,
        discount: float,
    ) -> Advantages:
        """Average over n; see :meth:`AdvantageEstimator.estimate`."""
        return generalised_advantages(
            reward=chunk.reward,
            terminated=chunk.terminated,
            is_last=chunk.is_last,
            value=value,
            discount=discount,
            gae_lambda=self.gae_lambda,
        )


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class VTrace(Generalised):
    """V-trace (:func:`triax.objectives.advantage.vtrace`): corrects for chunks that an older policy made."""

    corrects_lag: ClassVar[bool] = True

    importance_limit: float = 1.0
    """ρ̄, at least ``trace_limit``. 1 as in the code of the paper's authors."""
    trace_limit: float = 1.0
    """c̄, above 0. 1 as in the code of the paper's authors."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if not 0.0 < self.trace_limit < math.inf:
            raise ValueError(f"VTrace.trace_limit={self.trace_limit} must be above 0 and finite.")
        if not self.trace_limit <= self.importance_limit < math.inf:
            raise ValueError(
                f"VTrace.importance_limit={self.importance_limit} must be at least trace_limit, and finite."
            )

    def estimate(
        self,
        *,
        chunk: Trajectory,
        value: Float[Array, "rows B"],
        log_ratio: Float[Array, "T B"] | None,
        discount: float,
    ) -> Advantages:
        """Correct by ratios; see :meth:`AdvantageEstimator.estimate`."""
        assert log_ratio is not None
        return vtrace(
            reward=chunk.reward,
            terminated=chunk.terminated,
            is_last=chunk.is_last,
            value=value,
            log_ratio=log_ratio,
            discount=discount,
            trace_lambda=self.gae_lambda,
            importance_limit=self.importance_limit,
            trace_limit=self.trace_limit,
        )
