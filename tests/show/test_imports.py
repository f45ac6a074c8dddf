import subprocess
import sys

VIEWS = "figures.report terminal.report page.document display payload.report progress"


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_views_import_neither_torch_nor_transformers_nor_ipython():
    loaded = loaded_after("\n".join(f"import model_understanding.show.{name}" for name in VIEWS.split()))
    assert not loaded & {"torch", "transformers", "IPython", "matplotlib.pyplot", "seaborn"}


def test_the_package_and_its_results_do_not_import_what_draws():
    loaded = loaded_after("import model_understanding, model_understanding.results, model_understanding.show")
    assert not loaded & {"torch", "transformers", "matplotlib", "seaborn", "rich", "jinja2"}
