"""What an import costs is counted in modules, never in time."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "matplotlib", "seaborn", "pandas"}
_REPORT = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


@pytest.mark.parametrize(
    "code",
    [
        "import model_understanding",
        "import model_understanding as m; m.Report; m.Attribution.from_arrays(['a'], [1.0])",
        "from model_understanding.cli.main import run; import io, contextlib\n"
        "with contextlib.redirect_stdout(io.StringIO()): assert run(['--help']) == 0",
        "from model_understanding.cli.main import run; import io, contextlib\n"
        "with contextlib.redirect_stdout(io.StringIO()): assert run(['explain', '--help']) == 0",
    ],
    ids=["package", "results", "help", "help of a command"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{_REPORT}"], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stdout.split())
