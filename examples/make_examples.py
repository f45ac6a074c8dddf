"""Writes the reports of this folder: ``python examples/make_examples.py``."""

from dataclasses import replace
from pathlib import Path

from model_understanding import GenerativeModelVisualizer, ModelVisualizer, SimilarityVisualizer

FOLDER = Path(__file__).parent
SENTENCE = "The movie was absolutely fantastic, although the ending felt rushed 😀."
PROMPT = "Once upon a time in a land far away,"
STEPS = 48
PAIR = (
    "How do I reset my password?",
    "Forgot your login? Here is how to recover access to your account.",
)


def main() -> None:
    """Explain a sentence, a continuation, and why two texts are similar."""
    classifier = ModelVisualizer("demo:sentiment")
    report = classifier.analyze(SENTENCE, evaluate=True, show=False)
    attributions = (*report.attributions, classifier.compute_saliency(SENTENCE, method="saliency"))
    replace(report, attributions=attributions).save(FOLDER / "sentiment.html")

    generative = GenerativeModelVisualizer("demo:smollm2")
    report = generative.analyze(PROMPT, max_new_tokens=STEPS, alternatives=3, show=False)
    report.save(FOLDER / "smollm2.html")

    SimilarityVisualizer("demo:minilm").analyze(PAIR, show=False).save(FOLDER / "minilm.html")


if __name__ == "__main__":
    main()
