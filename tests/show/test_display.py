import sys
import types

import matplotlib
import pytest
from matplotlib import pyplot
from sample_results import classification

from model_understanding.show.display import show_result


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's IPython, which keeps what it was asked to display."""
    shown = []
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display = types.ModuleType("IPython.display")
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_notebook_displays_the_report(notebook, capsys):
    report = classification()
    show_result(report)
    assert notebook == [report]
    assert capsys.readouterr().out == ""


def test_an_ipython_terminal_is_no_notebook(notebook, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace())
    show_result(classification())
    assert notebook == []
    assert "positive 99.8 %" in capsys.readouterr().out


def test_a_script_prints_the_text_and_opens_no_figure(capsys):
    show_result(classification())
    assert "positive 99.8 %" in capsys.readouterr().out
    assert pyplot.get_fignums() == []


def test_a_backend_with_windows_shows_the_figures(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(matplotlib.rcParams, "_get_backend_or_none", lambda: "TkAgg", raising=False)
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.get_fignums()))
    show_result(classification())
    assert len(shown) == 1
    assert len(shown[0]) == 1
    assert capsys.readouterr().out == ""
    pyplot.close("all")
