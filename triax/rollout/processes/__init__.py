"""Workers in processes of their own on this machine: they act with the newest policy and send what happens back.

Policies go through a board in shared memory, newest wins; experience comes back through one channel a worker, bounded
and blocking. Nothing is locked between processes, and the memory has no name, so that no crash leaves any behind.
"""

from triax.rollout.processes.board import PolicyBoard
from triax.rollout.processes.channel import Channel, ChannelDamaged
from triax.rollout.processes.fleet import ProcessFleet

__all__ = [
    "Channel",
    "ChannelDamaged",
    "PolicyBoard",
    "ProcessFleet",
]
