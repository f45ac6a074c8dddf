"""Comparison of two reports."""

from model_understanding.comparison.alignment import Alignment as Alignment
from model_understanding.comparison.attention import AttentionComparison as AttentionComparison
from model_understanding.comparison.attributions import AttributionComparison as AttributionComparison
from model_understanding.comparison.compare import compare as compare
from model_understanding.comparison.comparison import Comparison as Comparison
from model_understanding.comparison.likelihoods import LikelihoodComparison as LikelihoodComparison
from model_understanding.comparison.outputs import EvaluationPair as EvaluationPair
from model_understanding.comparison.outputs import ValuePair as ValuePair
