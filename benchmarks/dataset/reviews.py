"""Reviews from a seeded generator, as long as the snippets of movie reviews: any number, always the same."""

import random
from collections.abc import Iterator

_SUBJECTS = (
    *("the film", "this sequel", "the plot", "her performance", "the dialogue", "the camera", "the music"),
    *("the second half", "the whole cast", "its ending", "the script", "this small comedy", "the romance"),
)
_OPENINGS = (
    *(
        "To be honest,",
        "For the most part,",
        "As in his last work,",
        "Once the lights go down,",
        "I admit that",
    ),
    *("After an hour", "Whatever the critics say,", "In the end", "For a first attempt,", "Oddly enough,"),
)
_VERBS = ("is", "feels", "turns out to be", "remains", "becomes", "seems", "has always been")
_JUDGMENTS = {
    "positive": (
        *("warm and funny", "a joy to watch", "quietly moving", "sharp", "full of life", "beautifully made"),
        *("far better than expected", "a small wonder", "gripping", "honest and tender", "never boring"),
    ),
    "negative": (
        *("dull and noisy", "a waste of time", "strangely lifeless", "clumsy", "far too long", "badly made"),
        *("worse than the book", "a mess", "predictable", "cold and hollow", "never funny"),
    ),
}
_ASIDES = (
    *("with a few scenes that drag", "as if nobody had read it aloud", "which is rare these days"),
    *("from the first minute to the last", "and that matters more than the budget", "at least for me"),
    *("even if the jokes are old", "in a way that only small films can be", "with little to remember"),
)


def generated_reviews(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Yield reviews with an id, a text of 4 to 90 words, 22 on average, and a label.

    Args:
        count: How many.
        seed: Of the generator.
    """
    choices = random.Random(seed)
    for number in range(count):
        label = choices.choice(("positive", "negative"))
        sentences = [_sentence(choices, label) for _ in range(choices.choice((1, 1, 1, 2, 2, 3)))]
        yield {"id": f"review-{number:07d}", "text": " ".join(sentences), "label": label}


def _sentence(choices: random.Random, label: str) -> str:
    parts = [choices.choice(_OPENINGS)] if choices.random() < 0.5 else []
    other = "negative" if label == "positive" else "positive"
    shown = label if choices.random() < 0.85 else other
    parts += [choices.choice(_SUBJECTS), choices.choice(_VERBS), choices.choice(_JUDGMENTS[shown])]
    while choices.random() < 0.45 and len(parts) < 7:
        parts.append(choices.choice(_ASIDES))
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}{choices.choice('.....!')}"
