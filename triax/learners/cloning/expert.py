"""Experts that can be asked: who they are, and the policies by which they act, or say what they would have done."""

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax
from jaxtyping import Array, Bool, Float

from triax.learners.registry import register
from triax.random import KeyArray
from triax.spaces import SpaceSpec
from triax.trees import Tree, tree_dataclass, tree_select
from triax.types import ActionMode, Policy, PolicyOutput

LABEL = "expert_action"
"""The name under which rollout stores what the expert does in each step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expert:
    """Who says what is right: a policy, by its mode.

    :ivar policy: how it acts.
    :ivar parameters: with what.
    """

    policy: Policy
    parameters: Tree


@runtime_checkable
class ExpertFactory(Protocol):
    """What makes an expert: :class:`ExpertFunction`, a run's agent, or a frozen dataclass of your own."""

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> Expert:
        """Make the expert, in every process that acts. A stored agent that has learned from it is loaded without.

        :param observation_spec: what it will observe.
        :param action_spec: what it has to choose.
        :return: the expert.
        :raises ValueError: if it is one for other spaces.
        """


@register
@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpertFunction:
    """An expert that is a function of JAX's."""

    function: Callable[[Tree], Tree]
    """From observations in inside form, [B, ...], to actions in inside form; at the top level of a module."""

    def build(self, *, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> Expert:
        """Make the expert; see :meth:`ExpertFactory.build`."""
        return Expert(policy=_FunctionPolicy(function=self.function), parameters=())


class _FunctionPolicy:
    """A function as a policy without memory."""

    def __init__(self, *, function: Callable[[Tree], Tree]) -> None:
        self._function = function

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> tuple[()]:
        return ()

    def act(
        self,
        *,
        parameters: Tree,
        carry: tuple[()],
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        return PolicyOutput(action=self._function(observation), carry=carry, extras={})


class ExpertActs:
    """A policy for rollout: the expert acts, whatever has been learned.

    :param expert: who acts.
    """

    def __init__(self, *, expert: Expert) -> None:
        self._expert = expert

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> Tree:
        """Make the expert's memory; see :class:`triax.types.Policy`."""
        return self._expert.policy.initial_carry(batch_shape=batch_shape)

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
        """Take the expert's action, and label the step with it; see :class:`triax.types.Policy`."""
        output = self._expert.policy.act(
            parameters=self._expert.parameters,
            carry=carry,
            observation=observation,
            is_first=is_first,
            key=key,
            mode=ActionMode.MODE,
        )
        return PolicyOutput(action=output.action, carry=output.carry, extras={LABEL: output.action})


@tree_dataclass
class GuidedParameters:
    """All that a guided learner acts with.

    :ivar learner: its policy's parameters.
    :ivar expert_share: β, the probability with which the expert takes a step in its place, [].
    """

    learner: Tree
    expert_share: Float[Array, ""]


class LearnerActs:
    """A policy for rollout: in each step the expert acts with probability β, else the learner, and the expert labels.

    π_i = β_i π* + (1 − β_i) π̂_i (Ross et al. 2011, arXiv:1011.0686, algorithm 3.1).

    :param learner: who learns.
    :param expert: who knows.
    :param samples: whether the learner's actions are sampled, or those of its mode.
    """

    def __init__(self, *, learner: Policy, expert: Expert, samples: bool) -> None:
        self._learner = learner
        self._expert = ExpertActs(expert=expert)
        self._mode = ActionMode.SAMPLE if samples else ActionMode.MODE

    def initial_carry(self, *, batch_shape: tuple[int, ...]) -> tuple[Tree, Tree]:
        """Make the memories of both; see :class:`triax.types.Policy`."""
        return (
            self._learner.initial_carry(batch_shape=batch_shape),
            self._expert.initial_carry(batch_shape=batch_shape),
        )

    def act(
        self,
        *,
        parameters: GuidedParameters,
        carry: tuple[Tree, Tree],
        observation: Tree,
        is_first: Bool[Array, " B"],
        key: KeyArray,
        mode: ActionMode,
    ) -> PolicyOutput:
        """Choose who acts, and label the step; see :class:`triax.types.Policy`."""
        learner_key, expert_key, guided_key = jax.random.split(key, 3)
        own = self._learner.act(
            parameters=parameters.learner,
            carry=carry[0],
            observation=observation,
            is_first=is_first,
            key=learner_key,
            mode=self._mode,
        )
        right = self._expert.act(
            parameters=(), carry=carry[1], observation=observation, is_first=is_first, key=expert_key, mode=mode
        )
        guided = jax.random.bernoulli(guided_key, parameters.expert_share, is_first.shape)
        return PolicyOutput(
            action=tree_select(where=guided, true=right.action, false=own.action),
            carry=(own.carry, right.carry),
            extras=right.extras,
        )
