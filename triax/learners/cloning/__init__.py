"""What algorithms have in common that learn to do what an expert does: the loss, the state, the update.

One family, whose members differ in who acts and who says what would have been right: a recording
(:mod:`triax.learners.bc`, and of several tasks :mod:`triax.learners.mtbc`), or an expert that can be asked, who acts
itself (:mod:`triax.learners.online_supervised`) or watches the learner (:mod:`triax.learners.dagger`).
"""

from triax.learners.cloning.config import CloningConfig, RecordedCloningConfig
from triax.learners.cloning.expert import Expert, ExpertFactory, ExpertFunction
from triax.learners.cloning.interactive import InteractiveCloning, InteractiveCloningConfig
from triax.learners.cloning.learner import Cloning
from triax.learners.cloning.losses import CloningInputs, CloningTerm
from triax.learners.cloning.state import CloningState, LabelledRows

__all__ = [
    "Cloning",
    "CloningConfig",
    "CloningInputs",
    "CloningState",
    "CloningTerm",
    "Expert",
    "ExpertFactory",
    "ExpertFunction",
    "InteractiveCloning",
    "InteractiveCloningConfig",
    "LabelledRows",
    "RecordedCloningConfig",
]
