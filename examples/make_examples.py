"""Writes the pages of this folder: ``python examples/make_examples.py``."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from model_understanding import (
    GenerativeModelVisualizer,
    ModelVisualizer,
    SimilarityVisualizer,
    explain_dataset,
)

FOLDER = Path(__file__).parent
SENTENCE = "The movie was absolutely fantastic, although the ending felt rushed 😀."
PROMPT = "Once upon a time in a land far away,"
STEPS = 48
SAMPLE = 20
PAIR = (
    "How do I reset my password?",
    "Forgot your login? Here is how to recover access to your account.",
)
FILES = [FOLDER.parent / "LICENSE", FOLDER.parent / "NOTICE"]
QUESTION = "What is the license of SmolLM2?"
ANSWER = "The license of SmolLM2 is the MIT License."  # how its own answer begins


def main() -> None:
    """Explain a sentence, a continuation, an answer from documents, why two texts are similar, a data set."""
    classifier = ModelVisualizer("demo:sentiment")
    report = classifier.analyze(SENTENCE, evaluate=True, show=False)
    attributions = (*report.attributions, classifier.compute_saliency(SENTENCE, method="saliency"))
    replace(report, attributions=attributions).save(FOLDER / "sentiment.html")

    generative = GenerativeModelVisualizer("demo:smollm2")
    report = generative.analyze(PROMPT, max_new_tokens=STEPS, alternatives=3, show=False)
    report.save(FOLDER / "smollm2.html")

    answers = generative.map_answer(question=QUESTION, documents=FILES, answer=ANSWER)
    answers.save(FOLDER / "sources.html")

    SimilarityVisualizer("demo:minilm").analyze(PAIR, show=False).save(FOLDER / "minilm.html")

    with TemporaryDirectory() as folder:
        run = explain_dataset(classifier, "demo:reviews", Path(folder) / "explained")
        run.summary(sample=SAMPLE).save(FOLDER / "summary.html")


if __name__ == "__main__":
    main()
