"""The evaluation of a random sample of a run's rows, against the evaluation of the same rows by hand."""

import json
from collections import Counter

import numpy as np
import pytest
import tiny_models

from model_understanding import explain_dataset
from model_understanding.dataset.summary.reading import StoredRows
from model_understanding.dataset.summary.trust import MOST_PASSES, measure_trust
from model_understanding.model.metering import counting
from model_understanding.results import result_from_json
from model_understanding.statistics import wilson_interval
from model_understanding.targets.names import CAUSAL_LM

WORDS = ["the", "good", "bad", "film", "plot", "was", "fine", "story", "a", "not", "and", "with"]


def texts(count, seed=0, length=7):
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, length)) for _ in range(count)]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def run(request, tmp_path_factory):
    explainer = tiny_models.visualizer_of(request.param)
    given = {"max_new_tokens": 3} if request.param == "gpt2" else {"method": "input_x_gradient"}
    data = [*texts(4), "", "good"]
    folder = tmp_path_factory.mktemp(request.param)
    explain_dataset(explainer, data, folder, form="jsonl", rows_per_part=3, **given)
    return explainer, folder


def by_hand(explainer, row, manifest):
    if explainer.task == CAUSAL_LM:
        options = {"target": "continuation", "max_new_tokens": 3, "per_token": False}
    else:
        options = {}
    return explainer.evaluate(explainer.compute_saliency(row.text, method=manifest["method"], **options))


def test_the_sample_is_what_evaluating_each_row_gives(run):
    explainer, folder = run
    rows = StoredRows(folder)
    trust = measure_trust(explainer, rows)
    assessments = {row.row: by_hand(explainer, row, rows.manifest) for row in rows if row.error is None}
    verdicts = {row: each.verdict for row, each in assessments.items()}
    assert trust.verdicts == Counter(verdicts.values())
    evaluated = {row: each for row, each in assessments.items() if each.verdict != "not evaluated"}
    supported = sum(each.verdict == "supported" for each in evaluated.values())
    assert trust.rows == len(evaluated) == sum(trust.verdicts.values()) - trust.verdicts["not evaluated"]
    assert trust.supported == supported / len(evaluated)
    assert trust.interval == wilson_interval(supported, len(evaluated))
    order = ("not supported", "weak", "supported")
    assert list(trust.least) == sorted(
        evaluated, key=lambda row: (order.index(verdicts[row]), assessments[row].advantage)
    )
    assert trust.verdict_of == {row: verdicts[row] for row in evaluated}
    mean = next(each for each in trust.means if each.metric == "comprehensiveness")
    values = [
        each.value
        for assessment in evaluated.values()
        for each in assessment.named("comprehensiveness")
        if (each.quantity, each.replacement) == (mean.quantity, mean.replacement)
    ]
    assert mean.mean == pytest.approx(np.mean(values))
    assert mean.low <= mean.mean <= mean.high
    (caution,) = trust.cautions
    assert "of the sample could not be evaluated: The text is too short" in caution
    assert result_from_json(trust.to_json()) == trust


def test_a_sample_is_uniform_over_rows_that_were_explained_and_seeded(run):
    explainer, folder = run
    rows = StoredRows(folder)
    seen = []
    first = measure_trust(explainer, rows, 3, progress=lambda *state: seen.append(state))
    assert first == measure_trust(explainer, rows, 3)
    assert seen == [("Evaluating a sample", done, 3) for done in range(4)]
    assert sum(first.verdicts.values()) == 3


def test_the_number_of_passes_is_bounded(run):
    explainer, folder = run
    rows = StoredRows(folder)
    with counting() as counter:
        measure_trust(explainer, rows, 3)
    longest = max(row.tokens for row in rows)
    assert 0 < counter.positions / longest <= 3 * MOST_PASSES


def test_verdicts_that_the_run_has_are_counted_without_a_model(tmp_path):
    explainer = tiny_models.visualizer_of("bert")
    data = [*texts(3), "", "good"]
    run = explain_dataset(explainer, data, tmp_path, form="jsonl", evaluate=True, method="input_x_gradient")
    trust = measure_trust(None, StoredRows(tmp_path), 1)
    table = run.to_pandas()
    stored = table["verdict"][table["error"].isna()].fillna("not evaluated")
    assert trust.verdicts == Counter(stored)
    assert trust.rows == sum(count for verdict, count in trust.verdicts.items() if verdict != "not evaluated")
    again = tmp_path.with_name("again")
    explain_dataset(explainer, data, again, form="jsonl", method="input_x_gradient")
    assert measure_trust(explainer, StoredRows(again)).verdicts == trust.verdicts


def test_scores_that_are_not_those_of_the_run_are_said(run, tmp_path):
    explainer, folder = run
    for path in folder.iterdir():
        if path.name.startswith(("part", "manifest")):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "part-000000.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["scores"] = [2 * score for score in lines[1]["scores"]]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    trust = measure_trust(explainer, StoredRows(tmp_path))
    assert trust.cautions[0].startswith("The scores of 1 row of the sample, computed again, differ")
    assert "by up to 50 % of the largest" in trust.cautions[0]


def test_texts_too_short_to_evaluate_give_no_share(tmp_path):
    explainer = tiny_models.visualizer_of("bert")
    explain_dataset(explainer, ["good", "bad film"], tmp_path, form="jsonl")
    trust = measure_trust(explainer, StoredRows(tmp_path))
    assert (trust.rows, trust.verdicts, trust.interval) == (0, {"not evaluated": 2}, (0.0, 1.0))
    assert trust.least == trust.means == ()
    (caution,) = trust.cautions
    assert caution.startswith(
        "2 rows of the sample could not be evaluated, for example: The text is too short"
    )
