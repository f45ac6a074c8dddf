"""The public interface: a visualizer for each kind of model, and one for functions of texts."""

from model_understanding.visualizers.black_box import BlackBoxVisualizer as BlackBoxVisualizer
from model_understanding.visualizers.by_task import visualizer as visualizer
from model_understanding.visualizers.classifier import ModelVisualizer as ModelVisualizer
from model_understanding.visualizers.language_model import (
    GenerativeModelVisualizer as GenerativeModelVisualizer,
)
from model_understanding.visualizers.masked_lm import MaskedLMVisualizer as MaskedLMVisualizer
from model_understanding.visualizers.multiple_choice import (
    MultipleChoiceVisualizer as MultipleChoiceVisualizer,
)
from model_understanding.visualizers.question_answering import (
    QuestionAnsweringVisualizer as QuestionAnsweringVisualizer,
)
from model_understanding.visualizers.reranker import RerankerVisualizer as RerankerVisualizer
from model_understanding.visualizers.seq2seq import Seq2SeqVisualizer as Seq2SeqVisualizer
from model_understanding.visualizers.similarity import SimilarityVisualizer as SimilarityVisualizer
from model_understanding.visualizers.token_classification import (
    TokenClassificationVisualizer as TokenClassificationVisualizer,
)
from model_understanding.visualizers.zero_shot import (
    ZeroShotClassificationVisualizer as ZeroShotClassificationVisualizer,
)
