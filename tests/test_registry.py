"""Names of methods, maps, head scores and metrics, ours and those of other packages."""

import ast
import importlib.metadata
import inspect
from importlib.metadata import EntryPoint

import pytest

import model_understanding
from model_understanding import InputError, registry
from model_understanding.registry import HEAD_SCORES, MAPS, METHODS, METRICS, Registry

TABLES = [METHODS, MAPS, HEAD_SCORES, METRICS]
KINDS = [table.kind for table in TABLES]


@pytest.mark.parametrize("table", TABLES, ids=KINDS)
def test_every_name_leads_to_a_class_of_that_name(table):
    assert table.names()
    for name in table.names():
        assert table.load(name).name == name


@pytest.mark.parametrize("table", TABLES, ids=KINDS)
def test_a_name_is_its_class_s_name_in_snake_case(table):
    classes = {name: place.partition(":")[2] for name, place in table.places.items()}
    assert classes == {name: "".join(word.title() for word in name.split("_")) for name in classes}


def test_every_class_is_exported_at_the_top_level_under_a_name_of_its_own():
    classes = [name for table in TABLES for name in table.classes()]
    assert len(set(classes)) == len(classes)
    for table in TABLES:
        for name in table.names():
            loaded = table.load(name)
            assert getattr(model_understanding, loaded.__name__) is loaded
            assert loaded.__name__ in dir(model_understanding)


def test_type_checkers_see_what_is_exported():
    source = ast.parse(inspect.getsource(model_understanding))
    (block,) = [node for node in source.body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    listed = {}
    for line in block.body:
        if isinstance(line, ast.AnnAssign):  # __version__, which is no class
            continue
        assert isinstance(line, ast.ImportFrom)
        for alias in line.names:
            assert alias.asname == alias.name  # else it is not exported
            listed[alias.name] = line.module
    registered = {name: module for table in TABLES for name, module in table.classes().items()}
    assert listed == registered | model_understanding._ON_FIRST_USE
    assert sorted(model_understanding.__all__) == sorted(listed)


@pytest.mark.parametrize(
    ("table", "name", "message"),
    [
        (
            METHODS,
            "salency",
            f"Unknown method 'salency'. Allowed: {', '.join(METHODS.places)}. Did you mean 'saliency'?",
        ),
        (
            METHODS,
            "xyz",
            f"Unknown method 'xyz'. Allowed: {', '.join(METHODS.places)}. "
            "Use one of the methods listed above.",
        ),
        (
            MAPS,
            None,
            f"Unknown attention map None. Allowed: {', '.join(MAPS.places)}. "
            "Use one of the attention maps listed above.",
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
    reads = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: reads.append(group) or theirs)
    registry._of_other_packages.cache_clear()
    try:
        assert METHODS.names() == (*METHODS.places, "their_method")
        assert METHODS.load("their_method").__name__ == "OrderedDict"
        assert METHODS.load("saliency").__name__ == "Saliency"
        assert reads == [group]
    finally:
        registry._of_other_packages.cache_clear()


def test_a_table_without_entries_names_nothing():
    assert Registry("thing", "no such group", {}).names() == ()


@pytest.mark.parametrize(
    ("table", "former", "name"),
    [(table, former, name) for table in TABLES for former, name in table.former.items()],
)
def test_a_former_name_is_loaded_with_a_warning_that_names_the_new_one(table, former, name):
    with pytest.warns(FutureWarning, match=name):
        assert table.load(former) is table.load(name)
    assert former not in table.names()
