"""Distributions over actions whose parameters depend on what is chosen: choices first, parameters given them.

log π(k, c | o) = log π(k | o) + log π(c | o, k), where c are the parameters that choice k uses. There are two:
:class:`EnumeratedChoices` lists all joint choices, so that expectations over them are exact; :class:`FactoredChoices`
is for actions with more joint choices than can be listed.
"""

import abc

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from triax.networks.actions import ActionCode, highest_choice_entropy
from triax.networks.distributions import (
    LARGEST_TANH,
    LOG_SQRT_2_PI,
    Distribution,
    SampledAction,
    log_tanh_slope,
)
from triax.random import KeyArray
from triax.spaces import ChoiceTable, component_sizes
from triax.trees import Tree, static_field, tree_dataclass


@tree_dataclass
class Candidates:
    """Actions that stand for a distribution: E[f(a)] ≈ Σ_s weight_s f(a_s), differentiable in the policy.

    :ivar weight: sums to 1 over s, [..., S].
    :ivar choices: one-hot vectors, [..., S, options].
    :ivar parameters: continuous parameters, 0 where not used, [..., S, parameters].
    :ivar log_probability: of the parameters given the choices, [..., S].
    :ivar used: how many parameters each uses, [..., S].
    :ivar choice_entropy: of the choices, exact, nats, [...].
    :ivar highest_choice_entropy: of a uniform policy over what is allowed, nats, [...].
    """

    weight: Float[Array, "*batch S"]
    choices: Float[Array, "*batch S options"]
    parameters: Float[Array, "*batch S parameters"]
    log_probability: Float[Array, "*batch S"]
    used: Float[Array, "*batch S"]
    choice_entropy: Float[Array, "*batch"]
    highest_choice_entropy: Float[Array, "*batch"]


class ChoiceDistribution(Distribution):
    """A distribution over choices and the parameters that they use.

    :ivar code: how actions are written.
    """

    code: ActionCode

    def without_unused(self, *, action: Tree) -> Tree:
        """Make 0 what the choices leave unused; see :meth:`Distribution.without_unused`."""
        return self.code.without_unused(action=action)

    @abc.abstractmethod
    def candidates(self, *, key: KeyArray) -> Candidates:
        """Draw the parameters of every joint choice, or of some sampled ones.

        :param key: randomness.
        :return: what expectations are taken over.
        """

    @abc.abstractmethod
    def sample_from_noise(self, *, noise: Float[Array, "*batch parameters"], key: KeyArray) -> Tree:
        """Sample the choices, and turn standard normal noise into their parameters.

        :param noise: successive calls may be correlated, [..., parameters].
        :param key: randomness for the choices.
        :return: the action, inside form.
        """


@tree_dataclass
class EnumeratedChoices(ChoiceDistribution):
    """One of K joint choices, and a squashed Gaussian over the parameters of each.

    The entropy is exact for the choices, and for the parameters the expectation over the choices of one-sample
    estimates.

    :ivar log_probabilities: of the joint choices, normalised; −inf where one is not allowed, [..., K].
    :ivar mean: of each choice's parameters before tanh, [..., K, parameters].
    :ivar log_std: likewise.
    :ivar code: how actions are written.
    :ivar table: the joint choices.
    """

    log_probabilities: Float[Array, "*batch K"]
    mean: Float[Array, "*batch K parameters"]
    log_std: Float[Array, "*batch K parameters"]
    code: ActionCode = static_field()
    table: ChoiceTable = static_field()

    def candidates(self, *, key: KeyArray) -> Candidates:
        """Draw the parameters of every joint choice."""
        used = jnp.asarray(self.table.parameters_used, jnp.float32)
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        before = self.mean + jnp.exp(self.log_std) * noise
        log_probability = jnp.sum(used * _log_density(noise=noise, before=before, log_std=self.log_std), axis=-1)
        weight = jnp.exp(self.log_probabilities)
        choices = self.code.table_choices(table=self.table)
        return Candidates(
            weight=weight,
            choices=jnp.broadcast_to(choices, (*weight.shape, choices.shape[-1])),
            parameters=used * jnp.tanh(before),
            log_probability=log_probability,
            used=jnp.broadcast_to(jnp.sum(used, axis=-1), weight.shape),
            choice_entropy=self._choice_entropy(),
            highest_choice_entropy=jnp.log(jnp.sum(jnp.isfinite(self.log_probabilities), axis=-1).astype(jnp.float32)),
        )

    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample a joint choice, and its parameters."""
        choice_key, noise_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, (*self.mean.shape[:-2], self.mean.shape[-1]), self.mean.dtype)
        row = self._sampled_row(key=choice_key)
        before = self._of_row(self.mean, row) + jnp.exp(self._of_row(self.log_std, row)) * noise
        used = self._used(row)
        density = _log_density(noise=noise, before=before, log_std=self._of_row(self.log_std, row))
        return SampledAction(
            action=self._action(row=row, parameters=jnp.tanh(before)),
            log_probability=self._log_probability_of(row) + jnp.sum(used * density, axis=-1),
        )

    def sample_from_noise(self, *, noise: Float[Array, "*batch parameters"], key: KeyArray) -> Tree:
        """Sample a joint choice, and make its parameters from noise."""
        row = self._sampled_row(key=key)
        before = self._of_row(self.mean, row) + jnp.exp(self._of_row(self.log_std, row)) * noise
        return self._action(row=row, parameters=jnp.tanh(before))

    def log_prob(self, *, action: Tree) -> Float[Array, "*batch"]:
        """Sum the log-probability of the joint choice and the log-densities of its parameters."""
        row, parameters = self._row_of(action=action), self._parameters_of(action)
        before = jnp.arctanh(jnp.clip(parameters, -LARGEST_TANH, LARGEST_TANH))
        log_std = self._of_row(self.log_std, row)
        noise = (before - self._of_row(self.mean, row)) * jnp.exp(-log_std)
        density = _log_density(noise=noise, before=before, log_std=log_std)
        return self._log_probability_of(row) + jnp.sum(self._used(row) * density, axis=-1)

    def fixed_spread_loss(self, *, action: Tree) -> Float[Array, "*batch"]:
        """Compute −log π(k*|o) + ½ ‖c* − c‖² over the parameters that the action's choice uses."""
        row = self._row_of(action=action)
        chosen = jnp.tanh(self._of_row(self.mean, row))
        squared = 0.5 * jnp.sum(self._used(row) * jnp.square(chosen - self._parameters_of(action)), axis=-1)
        return squared - self._log_probability_of(row)

    def entropy(self, *, key: KeyArray) -> Float[Array, "*batch"]:
        """Compute the choices' entropy, and estimate that of the parameters given them."""
        candidates = self.candidates(key=key)
        return candidates.choice_entropy - jnp.sum(candidates.weight * candidates.log_probability, axis=-1)

    def mode(self) -> Tree:
        """Return the most probable joint choice, with tanh(mean) of its parameters."""
        row = jnp.argmax(self.log_probabilities, axis=-1)
        return self._action(row=row, parameters=jnp.tanh(self._of_row(self.mean, row)))

    def _choice_entropy(self) -> Float[Array, "*batch"]:
        possible = jnp.isfinite(self.log_probabilities)
        finite = jnp.where(possible, self.log_probabilities, 0.0)
        return -jnp.sum(jnp.where(possible, jnp.exp(finite), 0.0) * finite, axis=-1)

    def _sampled_row(self, *, key: KeyArray) -> Int[Array, "*batch"]:
        return jax.random.categorical(key, self.log_probabilities, axis=-1)

    def _row_of(self, *, action: Tree) -> Int[Array, "*batch"]:
        # Of 0/1 vectors, 2 a·b − |b| is largest for b = a.
        rows = self.code.table_choices(table=self.table)
        return jnp.argmax(2.0 * self.code.choices(action=action) @ rows.T - jnp.sum(rows, axis=-1), axis=-1)

    def _parameters_of(self, action: Tree) -> Float[Array, "*batch parameters"]:
        return self.code.continuous(action=action, choices=self.code.choices(action=action))

    def _log_probability_of(self, row: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
        return jnp.take_along_axis(self.log_probabilities, row[..., None], axis=-1)[..., 0]

    def _of_row(self, values: Array, row: Int[Array, "*batch"]) -> Float[Array, "*batch parameters"]:
        return jnp.take_along_axis(values, row[..., None, None], axis=-2)[..., 0, :]

    def _used(self, row: Int[Array, "*batch"]) -> Float[Array, "*batch parameters"]:
        return jnp.asarray(self.table.parameters_used, jnp.float32)[row]

    def _action(self, *, row: Int[Array, "*batch"], parameters: Float[Array, "*batch parameters"]) -> Tree:
        options = jnp.asarray(self.table.options)[row]
        return self.code.join(options=options, parameters=self._used(row) * parameters)


@tree_dataclass
class FactoredChoices(ChoiceDistribution):
    """Independent choices, and squashed Gaussians whose parameters are a linear function of what was chosen.

    Expectations over the choices are means over some sampled joint choices. Their gradients are unbiased: those of the
    score function, each sample's value less the mean of the others' (Kool et al. 2019, "Buy 4 REINFORCE samples, get a
    baseline for free!"). The entropy is exact for the choices, and estimated from the samples for the parameters.

    :ivar log_probabilities: of the options of each component, normalised and padded with −inf, [..., components, n].
    :ivar mean: of the parameters before tanh, whatever is chosen, [..., parameters].
    :ivar log_std: likewise.
    :ivar mean_of_choices: what each option adds to the means, [options, parameters].
    :ivar samples: how many joint choices stand for all of them, at least 2.
    :ivar code: how actions are written.
    """

    log_probabilities: Float[Array, "*batch components n"]
    mean: Float[Array, "*batch parameters"]
    log_std: Float[Array, "*batch parameters"]
    mean_of_choices: Float[Array, "options parameters"]
    samples: int = static_field()
    code: ActionCode = static_field()

    def candidates(self, *, key: KeyArray) -> Candidates:
        """Draw some joint choices, and the parameters of each."""
        choice_key, noise_key = jax.random.split(key)
        rows = (*self.mean.shape[:-1], self.samples)
        logits = self.log_probabilities[..., None, :, :]
        options = jax.random.categorical(choice_key, logits, axis=-1, shape=(*rows, logits.shape[-2]))
        choices = self._used_choices(options=options)
        used = jnp.broadcast_to(self.code.use(choices=choices), (*rows, self.mean.shape[-1]))
        noise = jax.random.normal(noise_key, used.shape, self.mean.dtype)
        log_std = self.log_std[..., None, :]
        before = self.mean[..., None, :] + choices @ self.mean_of_choices + jnp.exp(log_std) * noise
        return Candidates(
            weight=_leave_one_out_weights(self._choice_log_probability(choices)),
            choices=choices,
            parameters=used * jnp.tanh(before),
            log_probability=jnp.sum(used * _log_density(noise=noise, before=before, log_std=log_std), axis=-1),
            used=jnp.sum(used, axis=-1),
            choice_entropy=self._choice_entropy(),
            highest_choice_entropy=self._highest_choice_entropy(),
        )

    def sample_with_log_prob(self, *, key: KeyArray) -> SampledAction:
        """Sample the choices, and their parameters."""
        choice_key, noise_key = jax.random.split(key)
        action = self.sample_from_noise(
            noise=jax.random.normal(noise_key, self.mean.shape, self.mean.dtype), key=choice_key
        )
        return SampledAction(action=action, log_probability=self.log_prob(action=action))

    def sample_from_noise(self, *, noise: Float[Array, "*batch parameters"], key: KeyArray) -> Tree:
        """Sample the choices, and make their parameters from noise."""
        return self._action(options=jax.random.categorical(key, self.log_probabilities, axis=-1), noise=noise)

    def log_prob(self, *, action: Tree) -> Float[Array, "*batch"]:
        """Sum the choices' log-probabilities and the log-densities of the parameters that they use."""
        choices = self.code.choices(action=action)
        parameters = self.code.continuous(action=action, choices=choices)
        before = jnp.arctanh(jnp.clip(parameters, -LARGEST_TANH, LARGEST_TANH))
        noise = (before - self._mean_given(choices)) * jnp.exp(-self.log_std)
        density = self.code.use(choices=choices) * _log_density(noise=noise, before=before, log_std=self.log_std)
        return self._choice_log_probability(choices) + jnp.sum(density, axis=-1)

    def fixed_spread_loss(self, *, action: Tree) -> Float[Array, "*batch"]:
        """Compute −log π(k*|o) + ½ ‖c* − c‖² over the parameters that the action's choices use."""
        choices = self.code.choices(action=action)
        parameters = self.code.continuous(action=action, choices=choices)
        error = self.code.use(choices=choices) * jnp.square(jnp.tanh(self._mean_given(choices)) - parameters)
        return 0.5 * jnp.sum(error, axis=-1) - self._choice_log_probability(choices)

    def entropy(self, *, key: KeyArray) -> Float[Array, "*batch"]:
        """Compute the choices' entropy, and estimate that of the parameters."""
        candidates = self.candidates(key=key)
        return candidates.choice_entropy - jnp.sum(candidates.weight * candidates.log_probability, axis=-1)

    def mode(self) -> Tree:
        """Return the most probable options, with tanh(mean) of the parameters given them."""
        return self._action(options=jnp.argmax(self.log_probabilities, axis=-1), noise=jnp.zeros_like(self.mean))

    def _action(self, *, options: Int[Array, "*batch components"], noise: Array) -> Tree:
        choices = self._used_choices(options=options)
        before = self._mean_given(choices) + jnp.exp(self.log_std) * noise
        options = self.code.chosen_options(choices=choices)
        return self.code.join(options=options, parameters=self.code.use(choices=choices) * jnp.tanh(before))

    def _used_choices(self, *, options: Int[Array, "*batch components"]) -> Float[Array, "*batch options"]:
        vectors = jax.nn.one_hot(options, self.log_probabilities.shape[-1])
        return self.code.used_choices(choices=self._flat(vectors))

    def _flat(self, vectors: Float[Array, "*batch components n"]) -> Float[Array, "*batch options"]:
        return jnp.concatenate([vectors[..., index, :size] for index, size in enumerate(self.code.sizes)], axis=-1)

    def _mean_given(self, choices: Float[Array, "*batch options"]) -> Float[Array, "*batch parameters"]:
        return self.mean + choices @ self.mean_of_choices

    def _choice_log_probability(self, choices: Float[Array, "*batch options"]) -> Float[Array, "*batch"]:
        flat = self._flat(self.log_probabilities)
        flat = jnp.reshape(flat, (*flat.shape[:-1], *(1,) * (choices.ndim - flat.ndim), flat.shape[-1]))
        return jnp.sum(jnp.where(choices > 0.0, flat, 0.0), axis=-1)

    def _choice_entropy(self) -> Float[Array, "*batch"]:
        # A choice that another one decides over counts as often as it is used.
        probabilities = self._flat(jnp.exp(self.log_probabilities))
        used = self.code.used_choices(choices=probabilities)
        flat = self._flat(jnp.where(jnp.isfinite(self.log_probabilities), self.log_probabilities, 0.0))
        return -jnp.sum(used * flat, axis=-1)

    def _highest_choice_entropy(self) -> Float[Array, "*batch"]:
        possible = jnp.isfinite(self.log_probabilities)
        components = component_sizes(spec=self.code.spec).items()
        return highest_choice_entropy(
            spec=self.code.spec,
            possible={part: possible[..., index, :size] for index, (part, size) in enumerate(components)},
        )


def _leave_one_out_weights(log_probability: Float[Array, "*batch S"]) -> Float[Array, "*batch S"]:
    """Compute weights w_s of 1 / S, such that the gradient of Σ_s w_s f_s has the score function's part.

    With the gradients g_s of the log-probabilities it is Σ_s g_s (f_s − mean of the other samples' f) / S.
    """
    samples = log_probability.shape[-1]
    score = log_probability - jax.lax.stop_gradient(log_probability)
    others = (jnp.sum(score, axis=-1, keepdims=True) - score) / (samples - 1)
    return (1.0 + score - others) / samples


def _log_density(*, noise: Array, before: Array, log_std: Array) -> Array:
    """Compute log p(tanh(u)) of each component, from u and its noise; see SquashedGaussian."""
    return -0.5 * jnp.square(noise) - log_std - LOG_SQRT_2_PI - log_tanh_slope(before)
