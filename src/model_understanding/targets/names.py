"""What is explained: one file for each kind of model head."""

SEQUENCE_CLASSIFICATION = "sequence-classification"
CAUSAL_LM = "causal-lm"
TASKS: tuple[str, ...] = (SEQUENCE_CLASSIFICATION, CAUSAL_LM)
