"""Stream AC(λ) (Elsayed, Vasan and Mahmood 2024, "Streaming deep reinforcement learning finally works",
arXiv:2410.14606).

Learns from a stream, for every action space: each step is learned from as it is made and then forgotten, without a
replay, a batch or a target network. Eligibility traces give the credit to earlier steps, and steps of the optimiser are
bounded so that they do not overshoot.
"""

from triax.learners.stream_ac.config import StreamACConfig
from triax.learners.stream_ac.learner import StreamAC
from triax.learners.stream_ac.optimizer import ObGDConfig
from triax.learners.stream_ac.state import StreamACState, StreamedStep

__all__ = ["ObGDConfig", "StreamAC", "StreamACConfig", "StreamACState", "StreamedStep"]
