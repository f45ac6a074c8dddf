"""Short texts from a seeded generator: any number, always the same, of 4 to 30 words as reviews use them."""

import random

VOCABULARY = (
    "the a film movie story plot acting actor scene ending dialogue music camera director cast script is "
    "was feels seems looks never always often quite too very rather and but while because with without of "
    "in from good bad dull bright funny moving slow quick boring wonderful terrible charming weak strong "
    "clever silly honest cold warm long short old new first last whole little great poor best worst nothing "
    "everything something people family love war night summer city"
)


def short_texts(count: int, seed: int = 0) -> list[str]:
    """Return texts.

    Args:
        count: Their number.
        seed: Seed of the generator.
    """
    choices = random.Random(seed)
    vocabulary = VOCABULARY.split()
    texts = []
    for _ in range(count):
        words = " ".join(choices.choice(vocabulary) for _ in range(choices.randint(4, 30)))
        texts.append(words[0].upper() + words[1:] + choices.choice([".", "!", "?", ""]))
    return texts
