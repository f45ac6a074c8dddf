"""Names of methods and maps, ours and those of other packages."""

from importlib.metadata import EntryPoint

import pytest

from model_understanding import InputError, registry
from model_understanding.registry import MAPS, METHODS, Registry


@pytest.mark.parametrize("table", [METHODS, MAPS])
def test_every_name_leads_to_an_object_of_that_name(table):
    assert table.names()
    for name in table.names():
        assert table.load(name).name == name


@pytest.mark.parametrize(
    ("table", "name", "message"),
    [
        (
            METHODS,
            "salency",
            f"There is no method 'salency'. Allowed: {', '.join(METHODS.places)}. Did you mean 'saliency'?",
        ),
        (
            METHODS,
            "xyz",
            f"There is no method 'xyz'. Allowed: {', '.join(METHODS.places)}. "
            "Choose one of the methods listed.",
        ),
        (
            MAPS,
            None,
            f"There is no attention map None. Allowed: {', '.join(MAPS.places)}. "
            "Choose one of the attention maps listed.",
        ),
    ],
)
def test_an_unknown_name(table, name, message):
    with pytest.raises(InputError) as caught:
        table.load(name)
    assert str(caught.value) == message


def test_other_packages_add_names_and_never_replace_ours(monkeypatch):
    group = "model_understanding.methods"
    theirs = [
        EntryPoint("their_method", "collections:OrderedDict", group),
        EntryPoint("saliency", "os:system", group),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: theirs)
    assert METHODS.names() == (*METHODS.places, "their_method")
    assert METHODS.load("their_method").__name__ == "OrderedDict"
    assert METHODS.load("saliency").__name__ == "Saliency"


def test_a_table_without_entries_names_nothing():
    assert Registry("thing", "no such group", {}).names() == ()
