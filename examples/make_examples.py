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
TOWN = {
    "bridge.txt": (
        "The stone bridge connects the old town with the station. Its seven arches were built "
        "from granite in 1874. Cars have not been allowed on it since 1996."
    ),
    "library.txt": (
        "The library lends books, films and musical instruments. Its reading room opens at "
        "nine o'clock. The director is Elena Brandt, who came to the town in 2011."
    ),
    "market.txt": (
        "A market takes place on Wednesdays and Saturdays. Farmers from the valley sell "
        "cheese, apples and honey. The market closes at one o'clock."
    ),
    "museum.txt": (
        "The Lindau museum is in the old town hall. It was opened on March 12, 1931, by the "
        "mayor of the town. Its collection has about four thousand paintings, most of them by "
        "local artists. Entry is free on the first Sunday of each month."
    ),
    "river.txt": (
        "The Tarn is the river of the town. It is 381 kilometers long and freezes in most "
        "winters. Two mills on its banks still grind flour today."
    ),
}
QUESTION = "When was the museum opened, and how long is the river?"
ANSWER = (
    "The museum was opened on March 12, 1931, and the river is 381 kilometers long. About "
    "12,000 people live in the town."
)


def main() -> None:
    """Explain a sentence, a continuation, an answer from documents, why two texts are similar, a data set."""
    classifier = ModelVisualizer("demo:sentiment")
    report = classifier.analyze(SENTENCE, evaluate=True, show=False)
    attributions = (*report.attributions, classifier.compute_saliency(SENTENCE, method="saliency"))
    replace(report, attributions=attributions).save(FOLDER / "sentiment.html")

    generative = GenerativeModelVisualizer("demo:smollm2")
    report = generative.analyze(PROMPT, max_new_tokens=STEPS, alternatives=3, show=False)
    report.save(FOLDER / "smollm2.html")

    documents = [{"title": name, "text": text} for name, text in TOWN.items()]
    answers = generative.map_answer(question=QUESTION, documents=documents, answer=ANSWER)
    answers.save(FOLDER / "sources.html")

    SimilarityVisualizer("demo:minilm").analyze(PAIR, show=False).save(FOLDER / "minilm.html")

    with TemporaryDirectory() as folder:
        run = explain_dataset(classifier, "demo:reviews", Path(folder) / "explained")
        run.summary(sample=SAMPLE).save(FOLDER / "summary.html")


if __name__ == "__main__":
    main()
