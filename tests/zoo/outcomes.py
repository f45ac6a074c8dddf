"""What the package says of a tiny model, compared with what the model itself says.

Each check ends in one word: ``right``, ``refused`` (this package's own error), ``said`` (it differs, and a
caution on the result says so), ``wrong``, or ``traceback``. Run as a script it prints the table of all
architectures, or of those named by type or task.
"""

import copy
import inspect
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "support")]

import numpy as np
import tiny_seq2seq
import tiny_tokenizers
import torch

from model_understanding import (
    GenerativeModelVisualizer,
    LeaveOneOut,
    MaskedLMVisualizer,
    ModelUnderstandingError,
    ModelVisualizer,
    Seq2SeqVisualizer,
    TokenClassificationVisualizer,
)
from zoo.architectures import (
    ARCHITECTURES,
    CLASSIFIER,
    LANGUAGE_MODEL,
    MASKED,
    SEQ2SEQ,
    TAGGER,
    tiny_model,
)

TEXT, CONTINUATION = "the movie was wonderful but long", " and sad"
TOLERANCE = 2e-3
"""Of the largest number; the models have random weights of float32, routers and all."""


class DifferenceError(Exception):
    """The package's numbers are not the model's."""


class NotComparedError(Exception):
    """There is nothing of the model's own to compare with."""


def outcomes(task: str, model_type: str) -> dict[str, str]:
    """Return the outcome of each check of an architecture, with the reason where it is not ``right``."""
    model = tiny_model(task, model_type)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    is_encoder = task in (CLASSIFIER, TAGGER, MASKED)
    tokenizer = tiny_tokenizers.roberta_like() if is_encoder else tiny_tokenizers.llama_like()
    if tokenizer.mask_token is None:
        tokenizer.mask_token = tokenizer.convert_ids_to_tokens(42)
    kind, checks_of = _KINDS[task]
    found: dict[str, str] = {}
    visualizer: Any = None

    def run(name: str, check: Callable[[], str]) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = check()
        except ModelUnderstandingError as error:
            found[name] = f"refused: {error}"
        except NotComparedError as reason:
            found[name] = f"right: not compared, {reason}"
        except DifferenceError as difference:
            found[name] = f"wrong: {difference}"
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = (str(error).splitlines() or [""])[0]
            found[name] = (
                f"traceback: {type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"
            )

    def load() -> str:
        nonlocal visualizer
        visualizer = kind(model=model, tokenizer=tokenizer)
        return "right"

    run("load", load)
    if visualizer is None:
        return found
    for name, check in checks_of(visualizer, model, tokenizer):
        run(name, check)
    after = model.state_dict()
    untouched = all(torch.equal(weight, after[name]) for name, weight in before.items())
    found["untouched"] = "right" if untouched else "wrong: its weights changed"
    return found


def _classifier_checks(
    visualizer: Any, model: Any, tokenizer: Any, at: tuple[int, ...] = (0,)
) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the checks of a classifier, or of a tagger's label at a token.

    Args:
        visualizer: Its visualizer.
        model: The model.
        tokenizer: Its tokenizer.
        at: The explained entry of a text's logits: a class, or a token and a label.
    """
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    target = at[0] if len(at) == 1 else at

    def logits(of: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            found = model(input_ids=of, attention_mask=torch.ones_like(of)).logits[0]
        return found[: of.shape[1] if len(at) > 1 else None].double().numpy()

    def predict() -> str:
        return _equal(visualizer.predict(TEXT).logits, logits(ids))

    def leave_one_out() -> str:
        made = visualizer.compute_saliency(TEXT, method=LeaveOneOut(replacement="mask"), target=target)
        wanted = np.zeros(ids.shape[1])
        special = set(tokenizer.all_special_ids)
        for position, token in enumerate(ids[0].tolist()):
            if token not in special:
                masked = ids.clone()
                masked[0, position] = tokenizer.mask_token_id
                wanted[position] = (logits(ids) - logits(masked))[at]
        return _equal(made.scores[0], wanted, made)

    def gradient() -> str:
        made = visualizer.compute_saliency(TEXT, method="saliency", target=target)
        return _equal(made.scores[0], _gradient_norms(model, ids, lambda answer: answer[(0, *at)]), made)

    def analyze() -> str:
        made = visualizer.analyze(TEXT, show=False, evaluate=False)
        made.to_json()
        return (
            "right" if made.attention or made.provenance.cautions else "wrong: no attention, and no caution"
        )

    yield "predict", predict
    yield "leave-one-out", leave_one_out
    yield "gradient", gradient
    yield "default method", lambda: _gap(visualizer.compute_saliency(TEXT))
    yield (
        "attention",
        lambda: _attention(visualizer.compute_attention(TEXT, layer="all", head="all"), model, ids),
    )
    yield "analyze", analyze


def _language_model_checks(
    visualizer: Any, model: Any, tokenizer: Any
) -> Iterator[tuple[str, Callable[[], str]]]:
    prompt = tokenizer(TEXT)["input_ids"]
    ids = torch.tensor([tokenizer(TEXT + CONTINUATION)["input_ids"]])

    def next_log_probs(of: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return (
                model(input_ids=of, attention_mask=torch.ones_like(of))
                .logits[0, -1]
                .double()
                .log_softmax(-1)
                .numpy()
            )

    def explain(method: Any, **options: Any) -> Any:
        return visualizer.compute_saliency(
            TEXT, continuation=CONTINUATION, target="continuation", method=method, **options
        )

    def steps() -> str:
        made = explain("saliency", per_token=True)
        wanted = [
            next_log_probs(ids[:, :position])[ids[0, position]]
            for position in range(len(prompt), ids.shape[1])
        ]
        return _equal(made.outputs, wanted, made)

    def leave_one_out(replacement: str) -> str:
        token = int(ids[0, len(prompt)])
        made = visualizer.compute_saliency(TEXT, target=[token], method=LeaveOneOut(replacement=replacement))
        text = ids[:, : len(prompt)]
        wanted = np.zeros(len(prompt))
        special = set(tokenizer.all_special_ids)
        for position in range(len(prompt)):
            if int(text[0, position]) not in special:
                padded = text.clone()
                padded[0, position] = getattr(tokenizer, f"{replacement}_token_id")
                wanted[position] = next_log_probs(text)[token] - next_log_probs(padded)[token]
        return _equal(made.scores[0], wanted, made)

    def gradient() -> str:
        made = visualizer.compute_saliency(TEXT, target=[int(ids[0, len(prompt)])], method="saliency")
        wanted = _gradient_norms(
            model, ids[:, : len(prompt)], lambda answer: answer[0, -1].log_softmax(-1)[ids[0, len(prompt)]]
        )
        return _equal(made.scores[0], wanted, made)

    def analyze() -> str:
        made = visualizer.analyze(TEXT, max_new_tokens=3, show=False, evaluate=False)
        made.to_json()
        if not made.attention and not made.provenance.cautions:
            raise DifferenceError("no attention, and no caution")
        record = made.generation
        tokens = record.tokens.ids
        written, likeliest = list(tokens[record.prompt_length :]), [int(row[0]) for row in record.top_ids]
        wanted = [
            int(next_log_probs(torch.tensor([tokens[:end]])).argmax())
            for end in range(record.prompt_length, len(tokens))
        ]
        if written == likeliest == wanted:
            return "right"
        if about := [caution for caution in made.provenance.cautions if "not the most probable" in caution]:
            return f"said: {about[0]}"
        raise DifferenceError(f"written {written}, its record's likeliest {likeliest}, the model's {wanted}")

    def attention() -> str:
        made = visualizer.compute_attention(TEXT, queries="prompt", layer="all", head="all")
        return _attention(made, model, ids[:, : len(prompt)])

    yield "steps", steps
    yield "leave-one-out", lambda: leave_one_out("mask")
    if not _positions_follow_padding(model):
        yield "padding", lambda: leave_one_out("pad")
    yield "gradient", gradient
    yield "default method", lambda: _gap(visualizer.compute_saliency(TEXT, target="next"))
    yield "attention", attention
    yield "analyze", analyze


def _seq2seq_checks(visualizer: Any, model: Any, tokenizer: Any) -> Iterator[tuple[str, Callable[[], str]]]:
    source = torch.tensor([tokenizer(TEXT)["input_ids"]])
    start = visualizer.generate(TEXT, continuation=CONTINUATION)
    whole = torch.tensor([start.tokens.ids[source.shape[1] :].tolist()])
    first = start.prompt_length - source.shape[1]  # what the decoder starts with

    def next_log_probs(of: torch.Tensor, decoder: torch.Tensor) -> np.ndarray:
        return tiny_seq2seq.logits(model, of, decoder)[-1].double().log_softmax(-1).numpy()

    def explain(method: Any, **options: Any) -> Any:
        return visualizer.compute_saliency(TEXT, continuation=CONTINUATION, method=method, **options)

    def starts() -> str:
        configured = model.generation_config.decoder_start_token_id
        return _equal(whole[0, 0], model.config.bos_token_id if configured is None else configured)

    def steps() -> str:
        made = explain("saliency", per_token=True)
        wanted = [
            next_log_probs(source, whole[:, :end])[whole[0, end]] for end in range(first, whole.shape[1])
        ]
        return _equal(made.outputs, wanted, made)

    def gradient() -> str:
        last = whole.shape[1] - 1
        made = explain("saliency", span=(last - first, last - first + 1))
        token = int(whole[0, -1])
        wanted = tiny_seq2seq.gradients(
            model, source, whole[:, :-1], lambda logits: logits[-1].log_softmax(-1)[token]
        )
        return _equal(made.scores[0, :-1], torch.cat([part.norm(dim=-1) for part in wanted]).numpy(), made)

    def leave_one_out() -> str:
        made = explain(LeaveOneOut(replacement="mask"), span=(0, 1))
        before, token = whole[:, :first], int(whole[0, first])
        values, special = next_log_probs(source, before), set(tokenizer.all_special_ids)
        wanted = np.zeros(source.shape[1])
        for position, own in enumerate(source[0].tolist()):
            if own not in special:
                masked = source.clone()
                masked[0, position] = tokenizer.mask_token_id
                wanted[position] = values[token] - next_log_probs(masked, before)[token]
        return _equal(made.scores[0, : source.shape[1]], wanted, made)

    def generation() -> str:
        made = visualizer.generate(TEXT, max_new_tokens=4)
        written = made.tokens.ids[made.prompt_length :].tolist()
        wanted, decoder = [], whole[:, :first]
        for _ in written:
            wanted.append(int(next_log_probs(source, decoder).argmax()))
            decoder = torch.cat([decoder, torch.tensor([wanted[-1:]])], dim=1)
        if written == wanted:
            return "right"
        raise DifferenceError(f"written {written}, likeliest {wanted}")

    def analyze() -> str:
        made = visualizer.analyze(TEXT, max_new_tokens=3, show=False, evaluate=False)
        made.to_json()
        if not made.attention and not made.provenance.cautions:
            raise DifferenceError("no attention, and no caution")
        return "right"

    yield "start", starts
    yield "steps", steps
    yield "gradient", gradient
    yield "leave-one-out", leave_one_out
    yield "generation", generation
    yield "default method", lambda: _gap(visualizer.compute_saliency(TEXT, max_new_tokens=3))
    yield "analyze", analyze


def _masked_checks(visualizer: Any, model: Any, tokenizer: Any) -> Iterator[tuple[str, Callable[[], str]]]:
    text = TEXT.replace("wonderful", tokenizer.mask_token).replace("long", tokenizer.mask_token)
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    masks = (ids[0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()

    def log_probs(of: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            logits = model(input_ids=of, attention_mask=torch.ones_like(of)).logits[0]
        return logits.double().log_softmax(-1).numpy()

    def predict() -> str:
        filling = visualizer.predict(text)
        wanted = np.sort(np.exp(log_probs(ids)[masks]), axis=1)[:, ::-1][:, :10]
        return _equal(filling.top_probabilities, wanted)

    def leave_one_out() -> str:
        made = visualizer.compute_saliency(text, method=LeaveOneOut(replacement="mask"), target=9)
        wanted, special = np.zeros((len(masks), ids.shape[1])), set(tokenizer.all_special_ids)
        for position, token in enumerate(ids[0].tolist()):
            if token not in special:
                masked = ids.clone()
                masked[0, position] = tokenizer.mask_token_id
                wanted[:, position] = (log_probs(ids) - log_probs(masked))[masks, 9]
        return _equal(made.scores, wanted, made)

    def gradient() -> str:
        made = visualizer.compute_saliency(text, method="saliency", target={1: 9})
        wanted = _gradient_norms(model, ids, lambda answer: answer[0, masks[1]].log_softmax(-1)[9])
        return _equal(made.scores[0], wanted, made)

    def likelihood() -> str:
        plain = torch.tensor([tokenizer(TEXT)["input_ids"]])
        made, wanted = visualizer.pseudo_log_likelihood(TEXT), []
        for position in made.positions.tolist():
            masked = plain.clone()
            masked[0, position] = tokenizer.mask_token_id
            wanted.append(log_probs(masked)[position, plain[0, position]])
        return _equal(made.log_probabilities, wanted, made)

    def analyze() -> str:
        made = visualizer.analyze(text, show=False, evaluate=False)
        made.to_json()
        if not made.attention and not made.provenance.cautions:
            raise DifferenceError("no attention, and no caution")
        return "right"

    def lens() -> str:
        made, filling = visualizer.compute_logit_lens(text), visualizer.predict(text)
        return _equal(made.final_probabilities[-1], filling.probabilities)

    yield "predict", predict
    yield "leave-one-out", leave_one_out
    yield "gradient", gradient
    yield "likelihood", likelihood
    yield "default method", lambda: _gap(visualizer.compute_saliency(text))
    yield "lens", lens
    yield "analyze", analyze


_KINDS: dict[str, Any] = {
    CLASSIFIER: (ModelVisualizer, _classifier_checks),
    TAGGER: (TokenClassificationVisualizer, partial(_classifier_checks, at=(3, 1))),
    LANGUAGE_MODEL: (GenerativeModelVisualizer, _language_model_checks),
    SEQ2SEQ: (Seq2SeqVisualizer, _seq2seq_checks),
    MASKED: (MaskedLMVisualizer, _masked_checks),
}


def _equal(values: Any, wanted: Any, made: Any = None) -> str:
    values, wanted = np.asarray(values, float).ravel(), np.asarray(wanted, float).ravel()
    if values.shape != wanted.shape:
        raise DifferenceError(f"{values.shape} numbers, {wanted.shape} wanted")
    difference = float(np.abs(values - wanted).max() / max(1e-6, np.abs(wanted).max()))
    if difference <= TOLERANCE:
        return "right"
    if made is not None and made.provenance.cautions:
        return f"said: {made.provenance.cautions[-1]}"
    raise DifferenceError(f"off by {difference:.1e} of the largest")


def _positions_follow_padding(model: Any) -> bool:
    """Return whether padding ids change the positions, as in RoBERTa: padded by id, a text is another."""
    if model.config.model_type == "cpmant":  # segments do
        return True
    return any(hasattr(module, "create_position_ids_from_input_ids") for module in model.modules())


def _gap(made: Any) -> str:
    scores = np.asarray(made.scores, float)
    if not np.isfinite(scores).all():
        raise DifferenceError("scores that are not finite")
    return "right"


def _gradient_norms(
    model: Any, ids: torch.Tensor, pick: Callable[[torch.Tensor], torch.Tensor]
) -> np.ndarray:
    """Return the norm of the gradient at each token, summed over every use of a table by the ids as they
    are or moved by one (a decoder's); tables with weights of their own stand side by side."""
    kept: list[tuple[int, int, torch.Tensor]] = []
    moved = ids[0, :-1]

    def cut(module: Any, arguments: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor | None:
        read = arguments[0] if arguments else None
        if (
            not isinstance(read, torch.Tensor)
            or read.is_floating_point()
            or read.dim() != 2
            or output.dim() != 3
        ):
            return None
        read, layout = (read, output) if read.shape[0] == 1 else (read.t(), output.transpose(0, 1))  # XLNet
        scale = getattr(module, "embed_scale", getattr(module, "scalar_embed_scale", 1.0))
        if int(read.max()) >= len(module.weight) or not torch.allclose(
            layout, module.weight[read] * scale, atol=1e-6
        ):
            return None  # a table of positions, which looks at the ids only to count them
        same = read.shape[1] >= ids.shape[1] and torch.equal(read[0, : ids.shape[1]], ids[0])
        shifted = read.shape == ids.shape and torch.equal(read[0, 1:], moved)
        if not same and not shifted:
            return None
        leaf = output.detach().requires_grad_()
        kept.append((id(module.weight), 0 if same else 1, leaf))
        return leaf.clone()

    tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    hooks = [table.register_forward_hook(cut) for table in tables]
    try:
        recurrent = {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}
        value = pick(model(input_ids=ids, attention_mask=torch.ones_like(ids), **recurrent).logits)
    finally:
        for hook in hooks:
            hook.remove()
    if not kept:
        raise NotComparedError("no table of embeddings reads the ids")
    gradients = torch.autograd.grad(value, [leaf for _, _, leaf in kept], allow_unused=True)
    total: dict[int, torch.Tensor] = {}
    for (table, shift, _), gradient in zip(kept, gradients, strict=True):
        if gradient is None:
            continue
        length = ids.shape[1]
        gradient = gradient if gradient.shape[0] == 1 else gradient.transpose(0, 1)
        whole = torch.zeros(length, gradient.shape[-1])
        if shift:
            whole[:-1] = gradient[0, 1:]
        else:
            whole = gradient[0, :length].float()
        total[table] = total.get(table, torch.zeros_like(whole)) + whole
    return torch.cat(list(total.values()), dim=-1).norm(dim=-1).double().numpy()


def _attention(made: Any, model: Any, ids: torch.Tensor) -> str:
    mask = torch.ones_like(ids)
    try:
        eager = type(model)._from_config(copy.deepcopy(model.config), attn_implementation="eager").eval()
        eager.load_state_dict(model.state_dict())
        with torch.no_grad():
            read = eager.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else eager
            layers = read(input_ids=ids, attention_mask=mask, output_attentions=True).attentions
    except Exception:
        layers = None
    layers = [layer for layer in layers or () if isinstance(layer, torch.Tensor)]
    if len(layers) != len(made.weights) or any(layer.shape[1:] != layers[0].shape[1:] for layer in layers):
        return "right: not compared, the model returns no such attention"
    wanted = torch.stack([layer[0] for layer in layers]).double().numpy()[..., : made.weights.shape[-1]]
    if wanted.min() < 0 or wanted.max() > 1 + 1e-6:
        return "right: not compared, the model returns scores before the softmax"
    return _equal(made.weights, wanted[:, :, : made.weights.shape[-2]])


def main(names: list[str]) -> None:
    """Print the outcomes, and their counts by check."""
    counts: dict[str, Counter[str]] = {}
    for task, model_type in ARCHITECTURES:
        if names and model_type not in names and task not in names:
            continue
        try:
            found = outcomes(task, model_type)
        except Exception as error:
            found = {"build": f"traceback: {type(error).__name__}: {str(error)[:200]}"}
        for check, outcome in found.items():
            word = outcome.partition(":")[0]
            counts.setdefault(check, Counter())[word] += 1
            if word != "right":
                print(f"{task} {model_type} | {check} | {outcome}"[:400], flush=True)
    for check, words in counts.items():
        print(check, dict(words))


if __name__ == "__main__":
    main(sys.argv[1:])
