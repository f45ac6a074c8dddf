"""scripts/environment.sh on machines that are not as they should be, played by a PATH of our own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "scripts" / "environment.sh"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

WORKS = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
SHIM = "#!/bin/sh\necho 'command not found' >&2\nexit 127\n"
WITHOUT_VENV = """#!/bin/sh
case "$2" in
  *ensurepip*) exit 1 ;;
  *version_info*"<="*) exit 0 ;;
  *) echo 3.12 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``machine(call, programs)`` runs a function of the script with only these programs on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "id", "df", "awk", "uname", "cat", "basename"):
        (folder / name).symlink_to(shutil.which(name) or pytest.skip(f"needs {name}"))

    def run(call: str, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name, content in programs.items():
            (folder / name).write_text(content)
            (folder / name).chmod(0o755)
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail; source '{SCRIPT}'; {call}"],
            env={"PATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_first_python_that_really_runs_is_taken(machine: Callable) -> None:
    done = machine("find_python", {"python3.11": SHIM, "python3.12": WITHOUT_VENV, "python3.13": WORKS})
    assert (done.returncode, done.stdout, done.stderr) == (0, "python3.13\n", "")


def test_without_venv_the_exact_package_is_named(machine: Callable) -> None:
    done = machine("find_python", {"python3.12": WITHOUT_VENV, "apt-get": SHIM})
    sudo = "" if os.getuid() == 0 else "sudo "
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: python3.12 cannot create a virtual environment: venv or ensurepip is missing.\n"
        f"hint: Run {sudo}apt install python3.12-venv, then run this again.\n"
    )


def test_without_apt_it_is_said_in_words(machine: Callable) -> None:
    done = machine("find_python", {"python3.12": WITHOUT_VENV})
    assert done.stderr.endswith(
        "hint: Install Python 3.12 with its venv and ensurepip modules. Then run this again.\n"
    )


def test_without_any_python(machine: Callable) -> None:
    done = machine("find_python", {"python3.11": SHIM, "apt-get": SHIM})
    sudo = "" if os.getuid() == 0 else "sudo "
    assert done.returncode == 1
    assert done.stderr == (
        "error: No working Python 3.11, 3.12, 3.13 or 3.14 was found.\n"
        f"hint: Run {sudo}apt install python3 python3-venv, then run this again.\n"
    )


def test_a_failure_to_find_python_ends_the_script(machine: Callable) -> None:
    done = machine('chosen="$(find_python)"; echo "went on"', {})
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(("kilobytes", "code"), [(50_000_000, 0), (5_000_000, 0), (1_000_000, 1)])
def test_the_disk_is_looked_at_before_torch(machine: Callable, kilobytes: int, code: int) -> None:
    space = f"printf 'Filesystem\\n/dev/x 1 1 {kilobytes} 1%% /\\n'"
    done = machine("df() { " + space + "; }; python=false; check_space", {"false": "#!/bin/sh\nexit 1\n"})
    assert done.returncode == code
    assert "Next: torch." in done.stderr
    assert ("at least 2000 MB are needed" in done.stderr) == (code == 1)


def test_nothing_is_said_where_torch_is_there(machine: Callable) -> None:
    done = machine("python=true; check_space", {"true": "#!/bin/sh\nexit 0\n"})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stamp_that_fits_installs_nothing(machine: Callable, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").write_text(WORKS)
    (environment / "bin" / "python").chmod(0o755)
    call = f"""
environment='{environment}'; python='{environment}/bin/python'
install_requirements() {{ echo installed; }}
check_space() {{ :; }}
ensure_environment "$repository/requirements.txt"
"""
    assert machine(call, {}).stdout == "installed\n"
    assert machine(call, {}).stdout == ""
    (environment / "installed-requirements.txt").write_text("of another day\n")
    assert machine(call, {}).stdout == "installed\n"


def test_what_pip_says_becomes_short_lines(machine: Callable, tmp_path: Path) -> None:
    said = """Collecting torch==2.13.0
  Downloading x/torch-2.13.0-cp311.whl (191.8 MB)
Progress 10 of 20
  Downloading small-1.0.whl.metadata (5 kB)
  Downloading small-1.0.whl (5 kB)
Installing collected packages: torch, small
Successfully installed small-1.0 torch-2.13.0
"""
    (tmp_path / "said").write_text(said)
    done = machine(f"show_progress < '{tmp_path / 'said'}'", {})
    assert done.stdout == (
        "  downloading torch-2.13.0-cp311.whl (191.8 MB)\n"
        "  installing 2 packages (this takes a while)\n"
        "  installed 2 packages\n"
    )


def test_requirements_pin_torch_and_end_with_the_package_itself() -> None:
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    assert "torch==2.13.0" in lines
    assert lines[-1] == "-e ."
    assert all("==" in line for line in lines[1:-1])


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-development.txt"])
def test_what_is_pinned_is_what_is_tested(name: str) -> None:
    from importlib.metadata import version

    for line in (REPOSITORY / name).read_text().splitlines():
        if "==" in line:
            package, pinned = line.split("==")
            assert version(package.partition("[")[0]).partition("+")[0] == pinned, package


def test_scripts_can_be_run() -> None:
    for name in ("scripts/demo", "scripts/test", "scripts/check", ".ci/run"):
        assert os.access(REPOSITORY / name, os.X_OK), name
