"""A trained agent, apart from training: loaded from a run directory, it acts on the environment's own observations."""

from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from triax.learners.interface import Learner
from triax.random import derive_key
from triax.rollout import CompiledPolicy
from triax.runs import CheckpointStore, RunDirectory
from triax.spaces import SetLeaf, SpaceSpec, impossible_choices
from triax.training.description import read_document, restore
from triax.training.evaluating import AGENT_PART
from triax.training.importing import resolve_registered
from triax.trees import Tree
from triax.types import ActionMode, EnvironmentSpec


class Agent:
    """A policy with its parameters.

    :param learner: whose policy it is.
    :param parameters: the learner's ``policy_parameters``.
    :param spec: of observations and actions.
    :param seed: for actions that are sampled.
    """

    def __init__(self, *, learner: Learner[Any], parameters: Tree, spec: EnvironmentSpec, seed: int = 0) -> None:
        self.learner = learner
        self.parameters = parameters
        self.spec = spec
        self._policies: dict[int, CompiledPolicy] = {}
        self._key = derive_key(seed=seed, name=("agent",))
        self._calls = 0
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the next observation is the first of an episode. Plain policies need no reset."""
        self._carry: Tree = None
        self._batch_size: int | None = None

    def act(self, *, observation: Any, deterministic: bool = True) -> Any:
        """Choose an action, or a batch of them.

        :param observation: as the environment gives it; or a batch of such, stacked along a new first axis in every
            leaf (sets: a sequence of them).
        :param deterministic: the policy's mode; otherwise a sample.
        :return: an action as the environment takes it; or a batch, stacked likewise.
        :raises ValueError: if the observation is not one of the environment's, holds NaN, allows no choice, or is an
            empty batch.
        """
        batch_size = _batch_size(spec=self.spec.observation, value=observation)
        rows = 1 if batch_size is None else batch_size
        if batch_size is None:
            inside = self.spec.observation.stack_to_inside([observation])
        else:
            inside = self.spec.observation.batch_to_inside(observation)
        broken = self.spec.observation.non_finite_rows(inside)
        if broken is not None:
            which = "" if batch_size is None else f" {int(np.argmax(broken))} of the batch"
            raise ValueError(f"the observation{which} is not finite: it has NaN or infinite numbers.")
        impossible = impossible_choices(
            spec=self.spec.action, observation_spec=self.spec.observation, observation=inside
        )
        for what, _ in impossible:
            raise ValueError(f"{what}.")
        policy = self._policies.get(rows)
        if policy is None:
            policy = CompiledPolicy(policy=self.learner.policy, count=rows, action_spec=self.spec.action)
            self._policies[rows] = policy
        first = self._carry is None or self._batch_size != rows
        if first:
            self._carry = policy.initial_carry()
            self._batch_size = rows
        output = policy.act(
            parameters=self.parameters,
            carry=self._carry,
            observation=inside,
            is_first=np.full((rows,), first),
            key=self._key,
            counter=self._calls,
            mode=ActionMode.MODE if deterministic else ActionMode.SAMPLE,
        )
        self._calls += 1
        self._carry = output.carry
        if batch_size is None:
            return self.spec.action.unstack_to_outside(output.action)[0]
        return self.spec.action.batch_to_outside(output.action)


def load_agent(*, run_directory: Path | str, checkpoint: Literal["last", "best"] | int = "last") -> Agent:
    """Load the agent of a run. Runs no code of the run's.

    :param run_directory: of the run.
    :param checkpoint: the newest, the one with the best evaluation, or the one of these steps.
    :return: the agent.
    :raises RunDirectoryError: if it is not a run directory.
    :raises NoCheckpoint: if there is no such checkpoint.
    :raises CheckpointDamaged: if the checkpoint is not as it was written.
    :raises CannotImport: if the learner is not Triax's own and was not registered.
    """
    run = RunDirectory.open(Path(run_directory))
    document = read_document(run)
    spec = EnvironmentSpec(
        observation=SpaceSpec.from_description(document["spec"]["observation"]),
        action=SpaceSpec.from_description(document["spec"]["action"]),
    )
    config = restore(document["experiment"]["fields"]["learner"], resolve=resolve_registered)
    learner: Learner[Any] = config.build(observation_spec=spec.observation, action_spec=spec.action)
    store = CheckpointStore(run.checkpoints_path)
    key = derive_key(seed=0, name=("template",))
    template = jax.eval_shape(lambda: learner.policy_parameters(state=learner.initial_state(key=key)))
    parameters = store.load(steps=store.resolve(checkpoint, full=False), part=AGENT_PART, template=template)
    return Agent(learner=learner, parameters=jax.device_put(parameters), spec=spec)


def resolved_checkpoint(*, run: Path, checkpoint: Literal["last", "best"] | int) -> int:
    """Find out which checkpoint of a run is meant.

    :param run: the run directory.
    :param checkpoint: the newest, the one with the best evaluation, or the one of these steps.
    :return: its steps.
    :raises RunDirectoryError: if it is not a run directory.
    :raises NoCheckpoint: if there is no such checkpoint.
    """
    return CheckpointStore(RunDirectory.open(run).checkpoints_path).resolve(checkpoint, full=False)


def _batch_size(*, spec: SpaceSpec, value: Any) -> int | None:
    """Tell a batch from a single value by the number of axes of its leaves."""
    sizes: set[int | None] = set()
    try:
        parts = spec.parts(value)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the observation has not the structure of the environment's: {error!r}") from error
    for leaf, part in zip(spec.leaves(), parts, strict=True):
        if isinstance(leaf, SetLeaf):
            # One set is one array; a batch of them is a sequence of arrays.
            sizes.add(None if isinstance(part, np.ndarray) and part.ndim == 2 else len(part))
            continue
        shape = np.shape(part)
        if shape == leaf.shape:
            sizes.add(None)
        elif shape[1:] == leaf.shape:
            sizes.add(shape[0])
        else:
            raise ValueError(
                f"an observation's leaf has shape {shape}; the environment's have {leaf.shape}, a batch of them "
                f"(n, {', '.join(map(str, leaf.shape))})."
            )
    if sizes == {0}:
        raise ValueError("the observation is a batch of none; give one observation, or several.")
    if len(sizes) != 1:
        raise ValueError("some leaves of the observation are batches and some are not, or of different sizes.")
    return sizes.pop()
