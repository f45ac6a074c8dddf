"""Metrics as the command line names them."""


def chosen_metrics(words: str | None) -> tuple[str, ...]:
    """Return the metrics that are named.

    Args:
        words: Names separated by commas, ``all``, or nothing.

    Raises:
        InputError: There is no such metric.

    >>> chosen_metrics("deletion, insertion")
    ('deletion', 'insertion')
    """
    from model_understanding.registry import METRICS

    if words is None:
        return ()
    names = METRICS.names() if words == "all" else tuple(name.strip() for name in words.split(","))
    for name in names:
        METRICS.load(name)
    return tuple(names)
