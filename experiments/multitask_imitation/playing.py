"""What policies are worth in a variant: the expert, random actions, and many clones, all on the same starts."""

import jax
import numpy as np
from experts import expert_run
from families import Family
from jaxtyping import Array, Bool
from scales import Scale

import triax
from triax.evaluation import EvaluationConfig, Evaluator
from triax.random import KeyArray, derive_seed
from triax.spaces import BinaryLeaf, BoxLeaf, DiscreteLeaf, Leaf, SpaceSpec
from triax.trees import Tree
from triax.types import ActionMode, EnvironmentSpec, Policy, PolicyOutput


class RandomPolicy:
    """A :class:`triax.types.Policy` whose actions are uniformly distributed.

    :param spec: of the actions.
    """

    def __init__(self, spec: SpaceSpec) -> None:
        self._spec = spec

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        """Remember nothing; see :class:`triax.types.Policy`."""
        return ()

    def act(
        self,
        *,
        parameters: Tree,
        carry: Tree,
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        """Draw actions, whatever is seen; see :class:`triax.types.Policy`."""
        keys = iter(jax.random.split(key, len(self._spec.leaves())))

        def draw(leaf: Leaf) -> Array:
            shape = (*is_first.shape, *leaf.shape)
            match leaf:
                case BoxLeaf():
                    return jax.random.uniform(next(keys), shape, leaf.dtype, -1.0, 1.0)
                case DiscreteLeaf():
                    return jax.random.randint(next(keys), shape, 0, np.reshape(leaf.sizes, leaf.shape), leaf.dtype)
                case BinaryLeaf():
                    return jax.random.bernoulli(next(keys), 0.5, shape).astype(leaf.dtype)
            raise TypeError(f"{type(leaf).__name__} is no leaf of an action.")

        return PolicyOutput(action=self._spec.map_leaves(draw), carry=carry, extras={})


class Arena:
    """A variant in which policies of one kind play, each on the same starts.

    :param family: of the variant.
    :param value: of the variant.
    :param policy: how they act.
    :param spec: of the family.
    :param episodes: that each plays.
    :param show: whether they see the physics.
    """

    def __init__(
        self, *, family: Family, value: float, policy: Policy, spec: EnvironmentSpec, episodes: int, show: bool = False
    ) -> None:
        self._evaluator = Evaluator(
            make=family.variant(value, show=show).make,
            policy=policy,
            observation_spec=spec.observation,
            action_spec=spec.action,
            config=EvaluationConfig(episodes=episodes, environments=episodes),
        )
        self._seed = derive_seed(seed=0, name=("starts", family.name, repr(value)))

    def mean_return(self, parameters: Tree) -> float:
        """Play all episodes.

        :param parameters: of a policy.
        :return: the mean return of its deterministic actions.
        """
        evaluation = self._evaluator.evaluate(parameters=parameters, evaluation_seed=self._seed)
        assert evaluation is not None
        return evaluation.mean

    def close(self) -> None:
        """Close the environments."""
        self._evaluator.close()


def expert_return(*, scale: Scale, family: Family, value: float, seed: int) -> float:
    """Play with the expert of a variant.

    :param scale: of the study.
    :param family: of the variant.
    :param value: of the variant.
    :param seed: of the expert.
    :return: its mean return.
    """
    run = expert_run(scale=scale, family=family, seed=seed)
    agent = triax.load_agent(run_directory=run, checkpoint="best")
    arena = Arena(
        family=family, value=value, policy=agent.learner.policy, spec=agent.spec, episodes=scale.episodes, show=True
    )
    try:
        return arena.mean_return(agent.parameters)
    finally:
        arena.close()


def random_return(*, scale: Scale, family: Family, value: float, spec: EnvironmentSpec) -> float:
    """Play with random actions.

    :param scale: of the study.
    :param family: of the variant.
    :param value: of the variant.
    :param spec: of the family.
    :return: their mean return.
    """
    arena = Arena(family=family, value=value, policy=RandomPolicy(spec.action), spec=spec, episodes=scale.episodes)
    try:
        return arena.mean_return(())
    finally:
        arena.close()


def normalised_return(*, value: float, expert: float, random: float) -> float:
    """Place a return between random actions, 0, and the expert, 1.

    :param value: the return.
    :param expert: the expert's, in the same variant.
    :param random: that of random actions.
    :return: (value − random) / (expert − random).
    :raises ValueError: if the expert is no better than random actions.
    """
    if not expert > random:
        raise ValueError(f"the expert's return, {expert}, has to be above that of random actions, {random}.")
    return (value - random) / (expert - random)
