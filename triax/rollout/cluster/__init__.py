"""Workers as Ray actors, on this machine or on a cluster of several.

Ray places them, carries policies and experience, and notices when a machine is gone. Triax decides what a worker does,
how far it may run ahead, and whether another life is begun. Ray itself is imported when a fleet of this kind is made.
"""

from triax.rollout.cluster.connection import NoRayCluster, RayNotInstalled
from triax.rollout.cluster.fleet import RayFleet

__all__ = ["NoRayCluster", "RayFleet", "RayNotInstalled"]
