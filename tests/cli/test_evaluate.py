"""``evaluate``: a table of verdicts, JSON, and an exit code for other programs."""

import json

import pytest

from model_understanding import Assessment
from model_understanding.results import AssessmentSummary

TEXT = "The movie was absolutely fantastic, although the ending felt a bit long."
RUN = ("evaluate", "demo:sentiment", TEXT, "--methods", "integrated_gradients,input_x_gradient")


def test_a_table_says_each_verdict_and_why(command):
    outcome = command(*RUN)
    assert outcome.code == 0, outcome.err
    table = outcome.out.partition("z-score: against permuted scores")[0]
    rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    assert " supported " in rows["integrated_gradients"]
    assert "not supported" not in rows["integrated_gradients"]
    assert " weak " in rows["input_x_gradient"]
    assert "against permuted scores (14 tokens: threshold 2.16, maximum 3.61; " in " ".join(
        outcome.out.split()
    )


def test_json_is_one_assessment_a_line(command):
    outcome = command(*RUN, "--json")
    found = [Assessment.from_json(line) for line in outcome.out.splitlines()]
    assert [one.method for one in found] == ["integrated_gradients", "input_x_gradient"]
    assert [one.verdict for one in found] == ["supported", "weak"]
    # The second method's variants are those that the first one has not run yet,
    # and, where these leave its verdict open, those next to its top-ranked tokens.
    assert 0 < found[1].variants <= 8 + 2 * (14 + 1)
    assert json.loads(outcome.out.splitlines()[0])["schema"] == 1


def test_an_explanation_that_is_worth_too_little_ends_with_3(command):
    outcome = command(*RUN, "--fail-below", "2.1")
    assert outcome.code == 3
    assert outcome.err.startswith("too low: input_x_gradient has z = 1.")
    assert outcome.err.endswith("; --fail-below requires 2.1.\n")
    assert command(*RUN, "--fail-below", "-5").code == 0


def test_a_text_that_is_too_short_is_said_to_be(command):
    outcome = command("evaluate", "demo:sentiment", "Good.", "--methods", "saliency", "--fail-below", "0")
    assert outcome.code == 3
    assert "not evaluated" in outcome.out
    assert "too low: saliency could not be evaluated; --fail-below requires 0." in outcome.err


@pytest.mark.parametrize("methods", ["salience", "saliency,,occlusion"])
def test_an_unknown_method_is_told_before_anything_is_loaded(command, methods):
    outcome = command("evaluate", "no/such-model", TEXT, "--methods", methods)
    assert outcome.code == 2
    assert outcome.err.startswith("error: Unknown method ")
    assert "hint: " in outcome.err


def test_one_text_of_a_file_has_no_interval(command, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text(f"{TEXT}\nGood.\n", encoding="utf-8")
    outcome = command("evaluate", "demo:sentiment", "--file", str(file), "--methods", "leave_one_out")
    rows = [line.split() for line in outcome.out.splitlines() if " 1  " in line]
    assert rows
    assert all("to" not in row and "–" in row for row in rows)


def test_a_file_gives_shares_and_means_with_intervals(command, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text(
        f"{TEXT}\nA dull and lifeless film that wastes everyone in it.\nGood.\n", encoding="utf-8"
    )
    run = ("evaluate", "demo:sentiment", "--file", str(file), "--methods", "leave_one_out")
    outcome = command(*run, "--metrics", "leave_one_out_tau")
    words = " ".join(outcome.out.split())
    assert words.startswith("leave_one_out 3 texts · 33.3 % supported · 33.3 % weak · 33.3 % not evaluated")
    means = [line for line in outcome.out.splitlines() if line.startswith("leave-one-out tau · ")]
    assert len(means) == 4  # two quantities under two replacements, of the two texts that are long enough
    assert all(" to " in line for line in means)
    lines = command(*run, "--json", "--fail-below", "9")
    assert lines.code == 3
    assert "too low: leave_one_out has z = " in lines.err
    *each, summary = lines.out.splitlines()
    assert len([Assessment.from_json(line) for line in each]) == 3
    assert AssessmentSummary.from_json(summary).verdicts == (1, 1, 0, 1)


def test_an_unknown_metric_is_told_before_anything_is_loaded(command):
    outcome = command("evaluate", "no/such-model", TEXT, "--metrics", "deletoin")
    assert outcome.code == 2
    assert outcome.err.startswith("error: Unknown metric ")
