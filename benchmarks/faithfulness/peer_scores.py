"""Other packages on the same texts and by the same metric, each in an environment of its own.

``peers/NAME.py`` calls a package; ``peer_way.py`` runs that file and counts the passes through the model. The
packages' versions are those of ``benchmarks/attribution/peers``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from environments import make_environment, python_of
from jaxtyping import Float
from processes import WayError, WorkerProcess
from samples import Sample

from model_understanding.demo_models import demo_model_folder

HERE = Path(__file__).parent
FILES = HERE.parent / "attribution" / "peers"
SAME_VALUE = 0.01  # tolerance of a margin or log-probability between versions of transformers
CLASSIFIER, LANGUAGE = ("sentences",), ("prompts", "needles")


@dataclass(frozen=True, kw_only=True)
class PeerWay:
    """A method of a package, and the texts that it explains.

    Args:
        peer: The package.
        title: The method in the table, after the package's name.
        method: The method's name in its file.
        sets: The sets of texts.
        nodes: Points of a path, or variants of a text; 0 for none or for the package's default.
        attention: The model's attention implementation; ``None`` for the default of transformers.
    """

    peer: str
    title: str
    method: str
    sets: tuple[str, ...] = LANGUAGE
    nodes: int = 0
    attention: str | None = None

    @property
    def name(self) -> str:
        """Its row in the table."""
        return f"{self.peer}: {self.title}"


# 50 points are the packages' usual number. For each generated token that takes minutes: there, 20.
_PATH = {"method": "path", "title": "integrated gradients, mask, 50 nodes", "sets": CLASSIFIER, "nodes": 50}
_TOKEN_PATH = {"method": "path", "title": "integrated gradients, 20 nodes", "nodes": 20}
WAYS = (
    PeerWay(peer="lxt", title="AttnLRP", method="attn_lrp"),
    PeerWay(peer="lxt", title="CP-LRP", method="cp_lrp"),
    PeerWay(peer="gim-explain", title="GIM", method="gim"),
    PeerWay(peer="gim-explain", title="GIM, eager attention", method="gim", attention="eager"),
    PeerWay(peer="inseq", title="saliency", method="saliency"),
    PeerWay(peer="inseq", title="input × gradient", method="input_x_gradient"),
    PeerWay(peer="inseq", title="attention", method="attention", attention="eager"),
    PeerWay(peer="inseq", title="value zeroing", method="value_zeroing", attention="eager"),
    PeerWay(peer="captum", title="feature ablation, as it comes", method="ablation_as_it_comes"),
    PeerWay(peer="captum", title="feature ablation, whole answers", method="ablation"),
    PeerWay(peer="interpreto", title="saliency", method="saliency"),
    PeerWay(peer="interpreto", title="occlusion", method="occlusion"),
    PeerWay(peer="captum", title="KernelSHAP, 100 variants", method="kernel_shap", nodes=100),
    PeerWay(peer="interpreto", title="KernelSHAP", method="kernel_shap"),
    PeerWay(peer="inseq", title="occlusion", method="occlusion"),
    PeerWay(peer="captum", **_TOKEN_PATH),
    PeerWay(peer="inseq", **_TOKEN_PATH),
    PeerWay(peer="inseq", title="ReAGent", method="reagent"),
    PeerWay(peer="captum", **_PATH),
    PeerWay(peer="ferret-xai", **_PATH),
    PeerWay(peer="transformers-interpret", **_PATH),
    PeerWay(peer="interpreto", **{**_PATH, "title": "“integrated gradients”, mask, 50 nodes"}),
    PeerWay(peer="interpreto", title="saliency", method="saliency", sets=CLASSIFIER),
    PeerWay(peer="interpreto", title="occlusion", method="occlusion", sets=CLASSIFIER),
    PeerWay(peer="interpreto", title="LIME", method="lime", sets=CLASSIFIER),
    PeerWay(peer="interpreto", title="KernelSHAP", method="kernel_shap", sets=CLASSIFIER),
    PeerWay(peer="ferret-xai", title="LIME", method="lime", sets=CLASSIFIER),
    PeerWay(peer="ferret-xai", title="Partition SHAP", method="shap", sets=CLASSIFIER),
    PeerWay(peer="lxt", title="AttnLRP", method="attn_lrp", sets=CLASSIFIER),
    PeerWay(peer="gim-explain", title="GIM", method="gim", sets=CLASSIFIER),
    PeerWay(peer="inseq", title="saliency", method="saliency", sets=CLASSIFIER),
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A package's scores of a text.

    Args:
        sample: The text.
        scores: A score for each token; zero after the prompt.
        passes: Forward and backward passes, in passes over the whole text.
        refused: The reason if there are no scores.
    """

    sample: Sample
    scores: Float[np.ndarray, " tokens"] | None = None
    passes: tuple[float, float] = (0.0, 0.0)
    refused: str = ""


def answers_of(
    way: PeerWay, samples: Sequence[Sample], value_of: Callable[[Sample], float], threads: int
) -> Iterator[Answer]:
    """Yield a package's scores of each text, or the reason why there are none.

    Args:
        way: The package's method.
        samples: Texts of one model.
        value_of: Returns the model's value of a text: the margin, or the answer's log-probability.
        threads: Number of threads.
    """
    error = make_environment(way.peer, FILES)
    worker = None
    if error is None:
        try:
            worker = WorkerProcess(python_of(way.peer), job_of(way, samples, threads), threads)
        except WayError as failure:
            error = str(failure)
    try:
        for sample in samples:
            if worker is None or error is not None:
                yield Answer(sample=sample, refused=str(error))
                continue
            try:
                worker.run()
                yield checked(sample, worker.read(), value_of(sample))
            except WayError as failure:  # the process ended
                error = str(failure)
                yield Answer(sample=sample, refused=error)
    finally:
        if worker is not None:
            worker.close()


def checked(sample: Sample, found: dict[str, Any], value: float) -> Answer:
    """Return a package's scores for our tokens; refuse them if its tokens or its model differ."""
    if "refused" in found:
        return Answer(sample=sample, refused=found["refused"])
    ids = sample.encoding.ids[0].tolist()
    if found["ids"] != ids:
        return Answer(sample=sample, refused="it tokenizes the text differently")
    if abs(found["value"] - value) > SAME_VALUE:
        return Answer(sample=sample, refused=f"its model outputs {found['value']:.3f}, not {value:.3f}")
    scores = np.zeros(len(ids))
    given = np.array(found["scores"], dtype=float)
    if len(given) not in (len(ids), sample.encoding.prompt_length):
        return Answer(sample=sample, refused=f"{len(given)} scores for {len(ids)} tokens")
    if not np.isfinite(given).all():
        return Answer(sample=sample, refused="its scores are not finite")
    scores[: len(given)] = given
    return Answer(sample=sample, scores=scores, passes=(found["forwards"], found["backwards"]))


def job_of(way: PeerWay, samples: Sequence[Sample], threads: int) -> dict[str, Any]:
    """Return the worker's job."""
    runner = samples[0].visualizer.runner
    causal = runner.is_language_model
    job: dict[str, Any] = {
        "way_file": str(HERE / "peer_way.py"),
        "method_file": str(HERE / "peers" / f"{way.peer}.py"),
        "timed_file": str(FILES / f"{way.peer}.py"),
        "package": way.peer,
        "kind": "causal" if causal else "classifier",
        "method": way.method,
        "model_folder": str(demo_model_folder("demo:smollm2" if causal else "demo:sentiment")),
        "ids": [sample.encoding.ids[0].tolist() for sample in samples],
        "written": [sample.text for sample in samples],
        "prompts": [sample.encoding.prompt_length for sample in samples],
        "indices": [None if causal else sample.target.indices[0] for sample in samples],
        "nodes": way.nodes,
        "pad_id": runner.model.tokenizer.pad_token_id,
        "mask_id": runner.model.tokenizer.mask_token_id,
        "device": "cpu",
        "dtype": "float32",
        "threads": threads,
    }
    return job if way.attention is None else {**job, "implementation": way.attention}
