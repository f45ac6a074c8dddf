"""Every text model of these tasks in transformers, tiny: right or refused."""

import pytest

from zoo.architectures import ARCHITECTURES, NOT_BUILT
from zoo.outcomes import outcomes


def test_the_zoo_is_large():
    assert len(ARCHITECTURES) >= 250
    assert not {model_type for _, model_type in ARCHITECTURES} & set(NOT_BUILT)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("task", "model_type"), ARCHITECTURES)
def test_an_architecture_is_right_or_refused(task, model_type):
    found = outcomes(task, model_type)
    assert found["load"] == "right" or found["load"].startswith("refused: ")
    faults = {check: said for check, said in found.items() if said.startswith(("wrong", "traceback"))}
    assert not faults
