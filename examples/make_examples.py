"""Writes the two reports of this folder: ``python examples/make_examples.py``."""

from dataclasses import replace
from pathlib import Path

from model_understanding import GenerativeModelVisualizer, ModelVisualizer

FOLDER = Path(__file__).parent
SENTENCE = "The movie was absolutely fantastic, although the ending felt rushed 😀."
PROMPT = "Once upon a time in a land far away,"
STEPS = 48


def main() -> None:
    """Explain a sentence and a continuation, the sentence with a verdict."""
    classifier = ModelVisualizer("demo:sentiment")
    report = classifier.analyze(SENTENCE, evaluate=True, show=False)
    attributions = (*report.attributions, classifier.compute_saliency(SENTENCE, method="saliency"))
    replace(report, attributions=attributions).save(FOLDER / "sentiment.html")

    generative = GenerativeModelVisualizer("demo:smollm2")
    report = generative.analyze(PROMPT, max_new_tokens=STEPS, alternatives=3, show=False)
    report.save(FOLDER / "smollm2.html")


if __name__ == "__main__":
    main()
