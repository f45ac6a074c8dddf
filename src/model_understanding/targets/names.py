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
