"""The only place that runs a model: encode, values, gradients, attention capture, generation."""

from model_understanding.runner.encoding import Encoding as Encoding
from model_understanding.runner.gradient_sum import Gradients as Gradients
from model_understanding.runner.runner import Runner as Runner
