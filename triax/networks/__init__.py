"""Networks: encoders, hidden layers, heads, distributions, and how they become pure functions."""

from triax.networks.actions import ActionCode
from triax.networks.choices import Candidates, ChoiceDistribution, EnumeratedChoices, FactoredChoices
from triax.networks.distributions import Bernoulli, Categorical, Distribution, Joint, SampledAction, SquashedGaussian
from triax.networks.encoders import Encoder, EncoderConfig, EncoderFactory, Encoding, ImageEncoderConfig
from triax.networks.functional import FunctionalNetwork
from triax.networks.heads import ActionHead, ActionHeadConfig
from triax.networks.mlp import MLP, MLPConfig
from triax.networks.models import ActorModel, CriticModel, NetworkConfig, ValueModel
from triax.networks.multi_task import MultiTaskActorModel, TaskDistribution
from triax.networks.normalisation import ObservationStatistics, RunningMoments
from triax.networks.sets import SetEncoder, SetEncoderConfig, SetEncoding

__all__ = [
    "MLP",
    "ActionCode",
    "ActionHead",
    "ActionHeadConfig",
    "ActorModel",
    "Bernoulli",
    "Candidates",
    "Categorical",
    "ChoiceDistribution",
    "CriticModel",
    "Distribution",
    "Encoder",
    "EncoderConfig",
    "EncoderFactory",
    "Encoding",
    "EnumeratedChoices",
    "FactoredChoices",
    "FunctionalNetwork",
    "ImageEncoderConfig",
    "Joint",
    "MLPConfig",
    "MultiTaskActorModel",
    "NetworkConfig",
    "ObservationStatistics",
    "RunningMoments",
    "SampledAction",
    "SetEncoder",
    "SetEncoderConfig",
    "SetEncoding",
    "SquashedGaussian",
    "TaskDistribution",
    "ValueModel",
]
