"""Write the two reports of this folder again: ``python examples/make_examples.py``."""

from dataclasses import replace
from pathlib import Path

from model_understanding import GenerativeModelVisualizer, ModelVisualizer

FOLDER = Path(__file__).parent
SENTENCE = "The movie was absolutely fantastic, although the ending felt rushed 😀."
PROMPT = "Once upon a time in a land far away,"
STEPS = 48


def main() -> None:
    """Explain a sentence and a continuation, each with the attention of every head."""
    classifier = ModelVisualizer("demo:sentiment")
    report = classifier.analyze(SENTENCE, method="integrated_gradients", show=False)
    attributions = (*report.attributions, classifier.compute_saliency(SENTENCE))
    attention = (classifier.compute_attention(SENTENCE, layer="all", head="all"),)
    replace(report, attributions=attributions, attention=attention).save(FOLDER / "sentiment.html")

    generative = GenerativeModelVisualizer("demo:smollm2")
    report = generative.analyze(PROMPT, max_new_tokens=STEPS, show=False)
    weights = generative.compute_attention(PROMPT, layer="all", head="all", max_new_tokens=STEPS)
    replace(report, attention=(weights,)).save(FOLDER / "smollm2.html")


if __name__ == "__main__":
    main()
