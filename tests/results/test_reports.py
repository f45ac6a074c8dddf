"""Files of many reports."""

import hard_results as made
import pytest

from model_understanding import AttentionMap, Failure, InputError, Report, load_reports, save_reports

DAMAGED = {
    "number": b"3",
    "null": b"null",
    "text": b'["a"]',
    "empty": b"",
    "deep": b"[" * 100_000,
    "digits": b"9" * 5000,
    "bytes": b"\xff",
    "no schema": b'{"type": "Report"}',
}


def test_a_report_that_was_saved_alone_is_read_as_a_list_of_one(tmp_path):
    report = made.report()
    (loaded,) = load_reports(report.save(tmp_path / "x.json"))
    assert loaded.to_json() == report.to_json()
    both = [report, Failure.of(InputError("The text is empty.", hint="Pass a word."))]
    for name in ("x.json", "x.jsonl"):
        first, second = load_reports(save_reports(both, tmp_path / name))
        assert first.to_json() == report.to_json()
        assert second == both[1]


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_a_damaged_file_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    readers = {"reports": load_reports, "a report": Report.load, "an attention map": AttentionMap.load}
    for what, load in readers.items():
        if load is load_reports and name == "x.jsonl" and not content:
            assert load(path) == []  # no line, no report
            continue
        with pytest.raises(InputError) as caught:
            load(path)
        assert caught.value.message.startswith(f"Cannot read {what} from {path}: ")
