"""Errors reach the caller whole, also from another process."""

import copy
import pickle

import pytest

from model_understanding import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.ModelUnderstandingError)
]


@pytest.mark.parametrize("carried", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_kind_message_hint_and_notes(kind, carried):
    error = kind("The text is empty.", hint="Pass a word.")
    error.add_note("text 3")
    there = carried(error)
    assert type(there) is kind
    assert str(there) == "The text is empty. Pass a word."
    assert (there.message, there.hint, there.__notes__) == (error.message, error.hint, ["text 3"])
