"""The rows of the table: the work, the implementations compared, and our goals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PEERS = {  # name of its files, peers/NAME.py and peers/NAME.txt: name of the package
    "captum": "captum",
    "inseq": "inseq",
    "interpreto": "interpreto",
    "gim-explain": "gim-explain",
    "ferret-xai": "ferret-xai",
    "transformers-interpret": "transformers-interpret",
    "lxt": "lxt",
}
CLASSIFIER_PEERS = ("captum", "interpreto", "ferret-xai")
GENERATION_PEERS = ("captum", "inseq", "interpreto")
SEQ2SEQ_PEERS = ("captum", "inseq")
GIVES_SEGMENTS = "assigns the last token to a separate segment"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row: the same work done by us, by the hand-written floor and by other packages.

    Args:
        key: Name in the results and for ``--only``.
        title: Title in the table.
        model: A name in ``models.MODELS``, or ``smollm2``.
        work: What is computed; the implementations branch on it.
        tokens: Number of tokens of the text, prompt and continuation together.
        texts: Number of texts.
        prompt: Number of tokens of the prompt.
        nodes: Number of nodes of a path.
        entities: How many entities of a text are explained.
        method: The method, if it modifies the backward pass.
        peers: The packages that offer it.
        shares: For an implementation that is too slow for the whole task: the part that it runs (``nodes``,
            or the ``first`` texts) and the factor for its seconds (``times``).
        notes: Why a package's scores differ.
        floor_goal: Maximum of our time over the floor's.
        peer_goal: Maximum of our time over that of the fastest correct package.
        memory_goal: Maximum of our peak memory over the floor's.
        dtype: Dtype of the weights.
        gpu_only: Whether it is too large for a CPU.
    """

    key: str
    title: str
    model: str
    work: str
    tokens: int
    texts: int = 1
    prompt: int = 0
    nodes: int = 20
    entities: int = 0
    method: str = ""
    peers: tuple[str, ...] = ()
    shares: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    floor_goal: float | None = 1.10
    peer_goal: float | None = None
    memory_goal: float | None = 1.2
    dtype: str = "float32"
    gpu_only: bool = False


def _saliency(tokens: int) -> Task:
    return Task(
        key=f"classifier-saliency-{tokens}",
        title=f"classifier saliency, {tokens} tokens, BERT-base size",
        model="bert-base",
        work="class_gradient",
        tokens=tokens,
        peers=CLASSIFIER_PEERS,
        peer_goal=1.0,
    )


def _each_token(name: str, size: str, model: str, **options: Any) -> Task:
    return Task(
        key=f"each-token-saliency-{name}",
        title=f"gradient of each of {options.get('tokens', 64) - options.get('prompt', 32)} "
        f"generated tokens, {options.get('prompt', 32)}-token prompt, {size}",
        model=model,
        work="token_gradients",
        **{
            "tokens": 64,
            "prompt": 32,
            "peers": GENERATION_PEERS,
            "floor_goal": 0.65,
            "peer_goal": 0.5,
            **options,
        },
    )


def _one_target(method: str, name: str, model: str, size: str, peer: str | None) -> Task:
    classifier = model == "bert-base"
    return Task(
        key=f"{method.replace('_', '-')}-{name}",
        title=f"{name_of(method)}, one target, 64 tokens, {size}",
        model=model,
        work="class_gradient" if classifier else "next_token_gradient",
        tokens=64,
        prompt=0 if classifier else 64,
        method=method,
        peers=(peer,) if peer else (),
        notes={"gim-explain": "most of its rules do not apply to transformers models"},
        floor_goal=1.25,
        peer_goal=0.8 if peer else None,
    )


def name_of(method: str) -> str:
    """Return a method's name as its paper writes it."""
    return {"gim": "GIM", "attn_lrp": "AttnLRP"}[method]


TASKS = (
    _saliency(64),
    _saliency(256),
    Task(
        key="classifier-path-64",
        notes={
            "interpreto": "averages absolute values of gradient · point",
            "transformers-interpret": GIVES_SEGMENTS,
        },
        title="classifier integrated gradients, 64 tokens, BERT-base size, 20 nodes (peers: 50)",
        model="bert-base-curved",
        work="class_path",
        tokens=64,
        peers=(*CLASSIFIER_PEERS, "transformers-interpret"),
        shares={peer: {"nodes": 50} for peer in (*CLASSIFIER_PEERS, "transformers-interpret")},
        peer_goal=0.6,
    ),
    Task(
        key="entities-saliency-64",
        title="saliency of each of 12 entities of a tagger, 64 tokens, BERT-base size (floor: a forward and "
        "a backward pass for each)",
        model="bert-base-tagger",
        work="entity_gradients",
        tokens=64,
        entities=12,
        floor_goal=0.5,
    ),
    Task(
        key="similarity-50-pairs",
        title="cosines of 50 pairs of texts of 8 to 47 tokens, MiniLM size, tokenization included",
        model="minilm-encoder",
        work="pair_cosines",
        tokens=0,
        texts=100,
        floor_goal=1.15,
    ),
    _each_token("gpt2", "GPT-2-small size", "gpt2-small"),
    _each_token("smollm2", "SmolLM2-135M", "smollm2"),
    Task(
        key="each-token-saliency-t5",
        title="gradient of each of 16 output tokens, 32-token source, T5-small size",
        model="t5-small",
        work="output_gradients",
        tokens=48,
        prompt=32,
        peers=SEQ2SEQ_PEERS,
        floor_goal=0.7,
        peer_goal=0.5,
    ),
    Task(
        key="each-token-path-gpt2",
        notes={"captum": "a different path: previously generated tokens stay fixed"},
        title="integrated gradients (20 nodes) of each of 32 generated tokens, GPT-2-small size",
        model="gpt2-small",
        work="token_paths",
        tokens=64,
        prompt=32,
        peers=("captum", "inseq"),
        shares={
            "floor": {"nodes": 1, "times": 20},
            "captum": {"nodes": 2, "times": 10},
            "inseq": {"nodes": 2, "times": 10},
        },
        floor_goal=0.7,
        peer_goal=0.2,
    ),
    Task(
        key="continuation-saliency-gpt2",
        title="gradient of the whole continuation of 32 tokens, GPT-2-small size",
        model="gpt2-small",
        work="span_gradient",
        tokens=64,
        prompt=32,
        peers=("captum", "inseq"),
        peer_goal=0.1,
    ),
    Task(
        key="continuation-path-gpt2",
        title="integrated gradients (20 nodes) of the whole continuation, GPT-2-small size",
        model="gpt2-small",
        work="span_path",
        tokens=64,
        prompt=32,
    ),
    _one_target("gim", "bert", "bert-base", "BERT-base size", None),
    _one_target("gim", "gpt2", "gpt2-small", "GPT-2-small size", "gim-explain"),
    _one_target("attn_lrp", "bert", "bert-base", "BERT-base size", "lxt"),
    _one_target("attn_lrp", "gpt2", "gpt2-small", "GPT-2-small size", "lxt"),
    Task(
        key="many-saliency",
        title="saliency of 200 short texts, MiniLM size",
        model="minilm",
        work="many_gradients",
        tokens=0,
        texts=200,
        peers=CLASSIFIER_PEERS,
        peer_goal=0.8,
    ),
    Task(
        key="many-path",
        notes={"transformers-interpret": GIVES_SEGMENTS},
        title="integrated gradients (20 nodes) of 200 short texts, MiniLM size",
        model="minilm",
        work="many_paths",
        tokens=0,
        texts=200,
        peers=("captum", "ferret-xai", "transformers-interpret"),
        shares={
            way: {"first": 40, "times": 5}
            for way in ("ours", "floor", "captum", "ferret-xai", "transformers-interpret")
        },
        peer_goal=0.8,
    ),
    Task(
        key="occlusion-256",
        title="occlusion of a 256-token causal prompt, 6 layers × 384 (floor: recomputing every variant)",
        model="gpt2-mini",
        work="occlusion",
        tokens=256,
        prompt=256,
        peers=("captum",),
        floor_goal=None,
        peer_goal=0.6,
    ),
    *(
        _each_token(
            f"llama-1b-{dtype}",
            f"1B-class Llama, {dtype}",
            "llama-1b",
            tokens=576,
            prompt=512,
            dtype=dtype,
            gpu_only=True,
            peers=(),
            peer_goal=None,
        )
        for dtype in ("float32", "bfloat16")
    ),
)
