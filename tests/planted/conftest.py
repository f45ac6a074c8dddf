"""Trained models are kept in pytest's cache: training takes longer than all that is asked of them."""

import pytest

from planted import training


@pytest.fixture(scope="session", autouse=True)
def kept_models(request: pytest.FixtureRequest) -> None:
    cache = getattr(request.config, "cache", None)
    if cache is not None:
        training.KEPT = cache.mkdir("planted")
