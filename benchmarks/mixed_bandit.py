"""How SAC's ways to learn mixed actions compare on a bandit whose best policy is known.

    python benchmarks/mixed_bandit.py --seeds 3

Three choices, each with a parameter of its own; the reward is ``bonus_k − 4 (c − best_k)²``. At a fixed temperature α
the soft-optimal policy chooses by a softmax of the bonuses and spreads parameters as Gaussians around the best ones.
Learned with the expectation over choices, with 2 and 8 sampled choices in its place, and with parameters that do not
see the choice. Writes ``results/mixed_bandit.jsonl``: for each way and seed the total variation between the learned
choices and the best ones, and the largest error of a parameter (the median) of a choice that is made at least once in a
hundred times.
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array
from seeds import write_rows

import triax
from triax.learners.sac import SAC, SACState
from triax.random import KeyArray, derive_key
from triax.runs import environment_description
from triax.types import ActionMode, EnvironmentSpec, RowOrigin, Transitions

ROOT = Path(__file__).resolve().parents[1]
BONUS = np.array([0.3, 0.0, -0.1], np.float32)
BEST = np.array([0.5, -0.4, 0.1], np.float32)
CURVATURE = 4.0
TEMPERATURE = 0.2
BATCH = 256
SAMPLES = 20_000
"""Actions that are drawn from a learned policy."""

WAYS: dict[str, dict[str, Any]] = {
    "expectation": {},
    "2 samples": {"listed_choices": 1, "sampled_choices": 2},
    "8 samples": {"listed_choices": 1, "sampled_choices": 8},
    "parameters do not see the choice": {"parameters_see_choice": False},
}
"""Settings of the policy's head."""


def learner_of(*, updates: int, head: dict[str, Any]) -> SAC:
    """Build the learner.

    :param updates: that it will make.
    :param head: settings of the policy's head.
    :return: the learner.
    """
    network = triax.NetworkConfig(torso=triax.MLPConfig(hidden=(64, 64), activation="tanh"))
    optimizer = triax.OptimizerConfig(
        learning_rate=3e-3, schedule="linear", final_learning_rate=1e-5, schedule_updates=updates
    )
    config = triax.SACConfig(
        actor=network,
        critic=network,
        actor_head=triax.ActionHeadConfig(**head),
        actor_optimizer=optimizer,
        critic_optimizer=optimizer,
        initial_temperature=TEMPERATURE,
        learn_temperature=False,
        batch_size=BATCH,
    )
    spec = EnvironmentSpec.of_spaces(
        observation=spaces.Box(0.0, 1.0, (1,)),
        action=spaces.Dict(choice=spaces.Discrete(len(BONUS)), move=spaces.Box(-1.0, 1.0, (1,))),
    )
    learner = config.build(observation_spec=spec.observation, action_spec=spec.action)
    assert isinstance(learner, SAC)
    return learner


def transitions(*, key: KeyArray) -> Transitions:
    """Draw actions uniformly, and their rewards.

    :param key: randomness.
    :return: a batch.
    """
    choice_key, parameter_key = jax.random.split(key)
    choice = jax.random.randint(choice_key, (BATCH,), 0, len(BONUS))
    parameter = jax.random.uniform(parameter_key, (BATCH, 1), minval=-1.0, maxval=1.0)
    observation, zeros = jnp.ones((BATCH, 1)), jnp.zeros(BATCH, jnp.int32)
    return Transitions(
        observation=observation,
        action={"choice": choice, "move": parameter},
        reward=jnp.asarray(BONUS)[choice] - CURVATURE * jnp.square(parameter[:, 0] - jnp.asarray(BEST)[choice]),
        discount=jnp.zeros(BATCH),
        next_observation=observation,
        weight=jnp.ones(BATCH),
        extras={},
        origin=RowOrigin(source=zeros, task=zeros, slot=zeros, generation=zeros, policy_version=zeros),
    )


def distances(*, learner: SAC, state: SACState, key: KeyArray) -> dict[str, float]:
    """Compare a policy with the best one.

    :param learner: the learner.
    :param state: what it learned.
    :param key: randomness.
    :return: a part of the result's row.
    """
    drawn = learner.policy.act(
        parameters=learner.policy_parameters(state=state),
        carry=learner.policy.initial_carry(batch_shape=(SAMPLES,)),
        observation=jnp.ones((SAMPLES, 1)),
        is_first=jnp.ones(SAMPLES, jnp.bool_),
        key=key,
        mode=ActionMode.SAMPLE,
    ).action
    choice, parameter = np.asarray(drawn["choice"]), np.asarray(drawn["move"])[:, 0]
    share = np.bincount(choice, minlength=len(BONUS)) / SAMPLES
    best = np.exp(BONUS / TEMPERATURE) / np.exp(BONUS / TEMPERATURE).sum()
    errors = [abs(np.median(parameter[choice == k]) - BEST[k]) for k in range(len(BONUS)) if share[k] >= 0.01]
    return {
        "total_variation": round(0.5 * float(np.abs(share - best).sum()), 4),
        "parameter_error": round(float(max(errors)), 4),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to this, less one (default: 3)")
    parser.add_argument("--updates", type=int, default=4000, help="of each (default: 4000)")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "mixed_bandit.jsonl")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = [
        {
            "kind": "settings",
            "command": f"python benchmarks/mixed_bandit.py --seeds {arguments.seeds} --updates {arguments.updates}",
            "date": date.today().isoformat(),
            "machine": environment_description().to_json(),
        }
    ]
    for way, head in WAYS.items():
        learner = learner_of(updates=arguments.updates, head=head)

        def learn(seed: Array, learner: SAC = learner) -> SACState:
            key = jax.random.fold_in(derive_key(seed=0, name=("mixed bandit",)), seed)

            def one(state: SACState, number: Array) -> tuple[SACState, None]:
                data_key, update_key = jax.random.split(jax.random.fold_in(key, number))
                return learner.update(state=state, batch=transitions(key=data_key), key=update_key)[0], None

            return jax.lax.scan(one, learner.initial_state(key=key), jnp.arange(arguments.updates))[0]

        learned = jax.jit(learn)
        for seed in range(arguments.seeds):
            found = distances(learner=learner, state=learned(jnp.asarray(seed)), key=jax.random.key(seed))
            rows.append({"kind": "policy", "way": way, "seed": seed, **found})
            print(rows[-1], flush=True)
    write_rows(arguments.output, rows)


if __name__ == "__main__":
    main()
