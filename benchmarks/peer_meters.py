"""
Meters of the peer's speed: each does some more of one kind of work at each call, and times it.

What a meter keeps out of its figure is what happens once and never again: compilation, and for SAC the random steps
before learning starts. The number of compilations while the clock ran stands beside each figure, and should be 0.
"""

import math
import time
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

import gymnasium
import jax
from peer_models import PpoSettings, SacSettings, Vector, make_ppo, make_sac, wait_for

STEPS_AFTER_WARMUP = 200
"""
Steps with updates before SAC's clock may start: SBX compiles at the first, and again at the second, whose arguments
have types of their own.
"""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """
    One figure.

    :param unit: what was counted.
    :param amount: how many of them were done.
    :param seconds: in what time.
    :param compilations: how often JAX compiled meanwhile.
    """

    unit: str
    amount: int
    seconds: float
    compilations: int

    @property
    def rate(self) -> float:
        """:return: units per second."""
        return self.amount / self.seconds

    def as_row(self) -> dict[str, Any]:
        """:return: the same, for JSON."""
        return {
            "unit": self.unit,
            "amount": self.amount,
            "seconds": round(self.seconds, 4),
            "rate": round(self.rate, 2),
            "compilations": self.compilations,
        }


class CompilationCounter:
    """Counts how often JAX compiles in this process."""

    def __init__(self) -> None:
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.count += 1


class Meter(Protocol):
    """Does more of one kind of work at each call. Made ready (compiled, replay filled) when it is made."""

    @property
    def model(self) -> Any:
        """:return: the SBX model."""

    def measure(self, amount: int) -> Measurement:
        """
        :param amount: how much to do, at least.
        :return: how much was done, in what time.
        """


class _Clock:
    """Times a piece of a model's work."""

    def __init__(self, *, model: Any, unit: str) -> None:
        self._model = model
        self._unit = unit
        self._compilations = CompilationCounter()
        self._start = 0.0
        self._compilations_before = 0

    def start(self) -> None:
        wait_for(self._model)
        self._compilations_before = self._compilations.count
        self._start = time.perf_counter()

    def stop(self, *, amount: int) -> Measurement:
        wait_for(self._model)
        seconds = time.perf_counter() - self._start
        compilations = self._compilations.count - self._compilations_before
        return Measurement(unit=self._unit, amount=amount, seconds=seconds, compilations=compilations)


class LoopMeter:
    """
    The whole loop of a model: act, step the environment, store, update.

    PPO's amounts are rounded up to whole iterations.

    :param model: an SBX model that has been brought past compilation.
    """

    def __init__(self, *, model: Any) -> None:
        self.model = model
        self._clock = _Clock(model=model, unit="environment_steps")

    def measure(self, amount: int) -> Measurement:
        """
        :param amount: environment steps, at least.
        :return: the steps done, and the time.
        """
        steps_before = self.model.num_timesteps
        self._clock.start()
        self.model.learn(amount, reset_num_timesteps=False)
        return self._clock.stop(amount=self.model.num_timesteps - steps_before)


class UpdateMeter:
    """
    SAC's updates alone, from the replay buffer, drawing batches from it included: SBX's own `train`, which draws the
    batches of one call at once and does the call's updates in one compiled loop.

    :param model: an SBX SAC model with a filled replay buffer.
    :param batch_size: transitions in a batch.
    :param updates_per_call: gradient steps in a call of `train`; 1 as in SBX's loop with one update per step.
    """

    def __init__(self, *, model: Any, batch_size: int, updates_per_call: int) -> None:
        self.model = model
        self.updates_per_call = updates_per_call
        self._batch_size = batch_size
        self._clock = _Clock(model=model, unit="updates")
        for _ in range(3):
            self._call()

    def _call(self) -> None:
        self.model.train(gradient_steps=self.updates_per_call, batch_size=self._batch_size)

    def measure(self, amount: int) -> Measurement:
        """
        :param amount: updates, at least; rounded up to whole calls.
        :return: the updates done, and the time.
        """
        calls = math.ceil(amount / self.updates_per_call)
        self._clock.start()
        for _ in range(calls):
            self._call()
        return self._clock.stop(amount=calls * self.updates_per_call)


def ready_sac(settings: SacSettings) -> Any:
    """
    :param settings: what to make.
    :return: SBX's SAC, past its random steps and past compilation.
    """
    model = make_sac(settings)
    model.learn(settings.warmup + STEPS_AFTER_WARMUP, reset_num_timesteps=False)
    return model


def ready_ppo(settings: PpoSettings) -> Any:
    """
    :param settings: what to make.
    :return: SBX's PPO, past compilation. SBX compiles once more where an episode is cut at its time limit, because it
        asks the critic for the value of one observation then: the model is run past the first such cut.
    """
    model = make_ppo(settings)
    specification = gymnasium.spec(settings.environment)
    steps = max(specification.max_episode_steps or 0, 2 * settings.steps_per_environment) + 1
    model.learn(steps * settings.environments, reset_num_timesteps=False)
    return model


def median_rate(measurements: list[Measurement]) -> float:
    """
    :param measurements: of one meter.
    :return: the median of their rates.
    """
    return median(measurement.rate for measurement in measurements)


def measure_in_turns(*, meters: dict[Vector, LoopMeter], amount: int, rounds: int) -> dict[Vector, list[Measurement]]:
    """
    Take turns, so that what else the machine does falls on all alike.

    :param meters: by their kind of vector.
    :param amount: of each measurement.
    :param rounds: measurements of each.
    :return: the measurements of each.
    """
    measurements: dict[Vector, list[Measurement]] = {name: [] for name in meters}
    for _ in range(rounds):
        for name, meter in meters.items():
            measurements[name].append(meter.measure(amount))
    return measurements
