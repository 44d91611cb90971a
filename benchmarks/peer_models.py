"""
The peer's learners, SBX's SAC and PPO, with every setting that a fair comparison has to match written out.

Runs in the peer's environment (`set_up_peer.sh`) and imports nothing of Triax.
"""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import jax
from flax import linen
from sbx import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

Vector = Literal["dummy", "subproc"]
"""
How the environments of a vector are stepped: one after the other in this process, or each in a process of its own.
"""

type_of_vector: dict[Vector, type] = {"dummy": DummyVecEnv, "subproc": SubprocVecEnv}


@dataclass(frozen=True, kw_only=True)
class SacSettings:
    """
    Settings of SAC. The defaults are those of Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications"
    (https://arxiv.org/abs/1812.05905), table 1, and the target entropy is minus the number of action dimensions.

    One environment; one gradient step after each step of it, of actor, critics and temperature; no layer norm, no
    dropout, no normalisation of observations.
    """

    environment: str
    seed: int
    hidden: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4  # Adam's, of actor, critics and temperature
    batch_size: int = 256
    discount: float = 0.99
    tau: float = 0.005  # share of the new parameters in the target critics' at each update
    replay_capacity: int = 1_000_000  # transitions
    warmup: int = 1000  # environment steps with uniformly random actions, before the first gradient step


@dataclass(frozen=True, kw_only=True)
class PpoSettings:
    """
    Settings of PPO. Defaults without a word are those of Schulman et al. 2017, "Proximal Policy Optimization
    Algorithms" (https://arxiv.org/abs/1707.06347), table 3 (MuJoCo); the rest are SBX's.

    Actor and critic are two networks of `hidden` tanh units; advantages are normalised in each minibatch; observations
    and rewards are not normalised.
    """

    environment: str
    seed: int
    hidden: tuple[int, ...] = (64, 64)
    environments: int = 8
    vector: Vector = "dummy"
    steps_per_environment: int = 256  # environments x this = steps in a batch; the paper's batch has 2048, too
    minibatch: int = 256  # samples; the paper's 64 would measure the time that a call takes rather than arithmetic
    epochs: int = 10
    learning_rate: float = 3e-4
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    entropy_coefficient: float = 0.0
    value_coefficient: float = 0.5
    max_gradient_norm: float = 0.5


Settings = SacSettings | PpoSettings


def make_sac(settings: SacSettings) -> Any:
    """
    :param settings: what to make.
    :return: SBX's `SAC` on one environment.
    """
    return SAC(
        "MlpPolicy",
        make_vec_env(settings.environment, n_envs=1, seed=settings.seed),
        learning_rate=settings.learning_rate,
        buffer_size=settings.replay_capacity,
        learning_starts=settings.warmup,
        batch_size=settings.batch_size,
        tau=settings.tau,
        gamma=settings.discount,
        train_freq=1,
        gradient_steps=1,
        policy_delay=1,
        ent_coef="auto",
        target_entropy="auto",
        policy_kwargs={
            "net_arch": list(settings.hidden),
            "activation_fn": linen.relu,
            "layer_norm": False,
            "dropout_rate": 0.0,
            "n_critics": 2,
        },
        seed=settings.seed,
    )


def make_ppo(settings: PpoSettings) -> Any:
    """
    :param settings: what to make.
    :return: SBX's `PPO` on a vector of environments.
    """
    environments = make_vec_env(
        settings.environment,
        n_envs=settings.environments,
        seed=settings.seed,
        vec_env_cls=type_of_vector[settings.vector],
    )
    return PPO(
        "MlpPolicy",
        environments,
        learning_rate=settings.learning_rate,
        n_steps=settings.steps_per_environment,
        batch_size=settings.minibatch,
        n_epochs=settings.epochs,
        gamma=settings.discount,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        normalize_advantage=True,
        ent_coef=settings.entropy_coefficient,
        vf_coef=settings.value_coefficient,
        max_grad_norm=settings.max_gradient_norm,
        policy_kwargs={"net_arch": list(settings.hidden), "activation_fn": linen.tanh},
        seed=settings.seed,
    )


def make_model(settings: Settings) -> Any:
    """
    :param settings: what to make.
    :return: the SBX model.
    """
    return make_sac(settings) if isinstance(settings, SacSettings) else make_ppo(settings)


def wait_for(model: Any) -> None:
    """
    Wait until all that was asked of the accelerator is done: JAX returns from a call before its result is there.

    :param model: an SBX model.
    """
    critic = model.policy.qf_state if isinstance(model, SAC) else model.policy.vf_state
    for array in jax.tree.leaves((model.policy.actor_state.params, critic.params)):
        array.block_until_ready()


def versions() -> dict[str, str]:
    """:return: the versions of all that has a say in speed or in learning."""
    jax_packages = ["jax", "jaxlib", "flax", "optax"]
    packages = ["sbx-rl", "stable_baselines3", *jax_packages, "torch", "numpy", "gymnasium", "mujoco"]
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def hardware() -> dict[str, str | int]:
    """:return: what the figures were taken on."""
    cpu_information = Path("/proc/cpuinfo")
    lines = cpu_information.read_text().splitlines() if cpu_information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count() or 0,
        "jax_device": jax.devices()[0].device_kind,
    }
