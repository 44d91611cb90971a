"""Experience, kept and drawn again: storage of trees of arrays, sampling, n-step transitions, sequences, mixtures."""

from triax.replay.config import ReplayConfig
from triax.replay.episodes import StoredEpisode
from triax.replay.memory import ReplaySize, ReplayTooLarge, available_bytes, replay_bytes, replay_size
from triax.replay.mixture import MixturePart, MixtureSource, MixtureState
from triax.replay.replay import RECORDED, Replay, ReplayState
from triax.replay.sampler import Candidates, Drawn, NothingToSample, Sampler, SamplerFactory, UniformSampler
from triax.replay.source import Batches, BatchSource

__all__ = [
    "RECORDED",
    "BatchSource",
    "Batches",
    "Candidates",
    "Drawn",
    "MixturePart",
    "MixtureSource",
    "MixtureState",
    "NothingToSample",
    "Replay",
    "ReplayConfig",
    "ReplaySize",
    "ReplayState",
    "ReplayTooLarge",
    "Sampler",
    "SamplerFactory",
    "StoredEpisode",
    "UniformSampler",
    "available_bytes",
    "replay_bytes",
    "replay_size",
]
