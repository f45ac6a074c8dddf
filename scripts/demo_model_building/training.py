"""Trains a sequence classifier on ratings, on a teacher's outputs, or on both."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from corpus import RatedText
from torch import Tensor, nn

RATING_SLOPE = 1.5  # the soft label of a mean rating r is sigmoid(1.5 r): .82 at 1, .95 at 2
LONGEST = 96  # maximum number of tokens of a training text; the few longer ones are truncated


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Token IDs, the soft label (-1: none), and the teacher's outputs (`None`: no teacher)."""

    ids: list[list[int]]
    soft_labels: Tensor
    margins: Tensor | None = None  # (N,) logit of positive minus logit of negative
    states: Tensor | None = None  # (N, layers, width) hidden states at [CLS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    epochs: int
    learning_rate: float
    batch: int = 32
    warmup: float = 0.06
    weight_decay: float = 0.01
    teacher_weight: float = 1.0
    states_weight: float = 1.0
    seed: int = 0


def encode(tokenizer, texts: Sequence[str], ratings: Sequence[float] | None = None) -> Examples:
    """Token ids of the texts, with soft labels where there are ratings."""
    ids = tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"]
    if ratings is None:
        soft_labels = torch.full((len(ids),), -1.0)
    else:
        soft_labels = torch.sigmoid(RATING_SLOPE * torch.tensor(ratings))
    return Examples(ids=ids, soft_labels=soft_labels)


def padded(ids: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids (the padding token is 0) and attention mask."""
    rows = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in ids], batch_first=True)
    lengths = torch.tensor([len(row) for row in ids])
    return rows, (torch.arange(rows.shape[1]) < lengths[:, None]).long()


def batches(examples: Examples, size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Random batches of texts of similar length."""
    order = torch.randperm(len(examples.ids), generator=generator).tolist()
    made: list[list[int]] = []
    for start in range(0, len(order), 50 * size):
        pool = sorted(order[start : start + 50 * size], key=lambda i: len(examples.ids[i]))
        made += [pool[i : i + size] for i in range(0, len(pool), size)]
    for i in torch.randperm(len(made), generator=generator).tolist():
        yield made[i]


def forward(model, ids: Tensor, mask: Tensor, *, fast: bool) -> tuple[Tensor, Tensor]:
    """Margins (B,) and [CLS] states (B, layers, width); `fast` runs in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
        output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    logits = output.logits.float()
    states = torch.stack([state[:, 0].float() for state in output.hidden_states[1:]], dim=1)
    return logits[:, 1] - logits[:, 0], states


@torch.no_grad()
def answers(model, examples: Examples, *, fast: bool) -> tuple[Tensor, Tensor]:
    """The model's margins and [CLS] states for every text, in order."""
    model.eval()
    order = sorted(range(len(examples.ids)), key=lambda i: len(examples.ids[i]))
    margins = torch.empty(len(order))
    states: Tensor | None = None
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        margin, state = forward(model, *padded([examples.ids[i] for i in rows]), fast=fast)
        if states is None:
            states = torch.empty(len(order), *state.shape[1:], dtype=torch.float16)
        margins[rows], states[rows] = margin, state.half()
    assert states is not None
    return margins, states


def accuracy(model, tokenizer, texts: Sequence[RatedText]) -> float:
    """The share of texts for which the model predicts the sign of the mean rating."""
    margins, _ = answers(model, encode(tokenizer, [text.text for text in texts]), fast=False)
    ratings = torch.tensor([text.rating for text in texts])
    return float(((margins > 0) == (ratings > 0)).float().mean())


def loss_of(
    margins: Tensor, states: Tensor, examples: Examples, rows: list[int], settings: Settings
) -> Tensor:
    """Cross-entropy with the soft labels and with the teacher, and the distance of the [CLS] states."""
    soft = examples.soft_labels[rows]
    each = nn.functional.binary_cross_entropy_with_logits(margins, soft.clamp(min=0), reduction="none")
    loss = (each * (soft >= 0)).mean()
    if examples.margins is not None and examples.states is not None:
        taught = torch.sigmoid(examples.margins[rows])
        agreement = nn.functional.binary_cross_entropy_with_logits(margins, taught)
        wanted = examples.states[rows].float()
        scale = wanted.pow(2).mean(dim=-1)
        distance = ((states - wanted).pow(2).mean(dim=-1) / scale).mean()
        loss = loss + settings.teacher_weight * agreement + settings.states_weight * distance
    return loss


def train(model, tokenizer, examples: Examples, validation: Sequence[RatedText], settings: Settings) -> float:
    """Train in place, keep the epoch that is best on validation, and return its accuracy there."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * -(-len(examples.ids) // settings.batch)
    warm = max(1, int(settings.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    best, best_weights, began = -1.0, None, time.monotonic()
    for epoch in range(settings.epochs):
        model.train()
        total, count = 0.0, 0
        for rows in batches(examples, settings.batch, generator):
            margins, states = forward(model, *padded([examples.ids[i] for i in rows]), fast=True)
            loss = loss_of(margins, states, examples, rows, settings)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            total, count = total + float(loss.detach()), count + 1
            if count % 200 == 0:
                print(f"  step {count}: loss {total / count:.4f}", file=sys.stderr, flush=True)
        found = accuracy(model, tokenizer, validation)
        seconds = time.monotonic() - began
        print(
            f"  epoch {epoch + 1}: loss {total / count:.4f}, validation {found:.4f}, {seconds:.0f} s",
            flush=True,
        )
        if found >= best:
            best = found
            best_weights = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    model.load_state_dict(best_weights)
    model.eval()
    return best
