"""Evaluation: how good a policy is, told without bias and with an interval; and what it looks like."""

from triax.evaluation.config import EvaluationConfig
from triax.evaluation.evaluator import Evaluation, Evaluator
from triax.evaluation.process import EvaluatorProcess
from triax.evaluation.rendering import RenderedEpisode, render_episode

__all__ = ["Evaluation", "EvaluationConfig", "Evaluator", "EvaluatorProcess", "RenderedEpisode", "render_episode"]
