"""The training loops, one for each kind of data plan. They know plans and stations, not algorithms."""

from triax.training.loops.base import Counters, Iteration, Loop, LoopState
from triax.training.loops.offline import OfflineLoop
from triax.training.loops.on_policy import OnPolicyLoop
from triax.training.loops.replayed import ReplayLoop

__all__ = ["Counters", "Iteration", "Loop", "LoopState", "OfflineLoop", "OnPolicyLoop", "ReplayLoop"]
