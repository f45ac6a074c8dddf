"""Names of the tasks whose models can be explained, as transformers' pipelines and docs call them."""

SEQUENCE_CLASSIFICATION = "sequence-classification"
CAUSAL_LM = "causal-lm"
TOKEN_CLASSIFICATION = "token-classification"
QUESTION_ANSWERING = "question-answering"
MASKED_LM = "masked-lm"
SEQ2SEQ_LM = "seq2seq-lm"
MULTIPLE_CHOICE = "multiple-choice"
SIMILARITY = "sentence-similarity"
FEATURE_EXTRACTION = "feature-extraction"
"""One text as its embedding: what a model of similarity does with each of its two."""

TASKS = (
    SEQUENCE_CLASSIFICATION,
    CAUSAL_LM,
    TOKEN_CLASSIFICATION,
    QUESTION_ANSWERING,
    MASKED_LM,
    SEQ2SEQ_LM,
    MULTIPLE_CHOICE,
    SIMILARITY,
)

ZERO_SHOT_CLASSIFICATION = "zero-shot-classification"
RERANKING = "reranking"

KINDS = (*TASKS, ZERO_SHOT_CLASSIFICATION, RERANKING)
"""Tasks by the class that explains them: the last two are sequence classifiers, used for something else."""

TASK_OF_PIPELINE = {
    "text-classification": SEQUENCE_CLASSIFICATION,
    "sentiment-analysis": SEQUENCE_CLASSIFICATION,
    "text-generation": CAUSAL_LM,
    "ner": TOKEN_CLASSIFICATION,
    "fill-mask": MASKED_LM,
    "text2text-generation": SEQ2SEQ_LM,
    "summarization": SEQ2SEQ_LM,
    "translation": SEQ2SEQ_LM,
    "feature-extraction": SIMILARITY,
    "text-ranking": RERANKING,
}
"""Tasks by the names of transformers' pipelines and of the hub, where these are others."""
