"""The stacks of attention of encoder–decoders, against models truly loaded eager and plain torch."""

from functools import cache

import numpy as np
import pytest
import tiny_seq2seq
import torch
import transformers as hf
from pass_counts import forwards_of
from tiny_seq2seq import OUTPUT, SOURCE

from model_understanding import InputError, Report, Seq2SeqVisualizer, UnsupportedModelError
from model_understanding.attention.capture import layout as survey
from model_understanding.attention.read import read_attention
from model_understanding.results import AttentionMap
from model_understanding.show.payload.report import report_payload

STACKS = ("cross", "encoder", "decoder")
FEW = ("t5", "bart", "mbart", "marian", "pegasus", "led", "t5gemma", "bert-to-gpt2")
UNREADABLE = {
    "longt5": ("encoder",),
    "led": ("encoder",),
    "prophetnet": ("cross", "decoder"),
}
READABLE = [
    (name, stack) for name in tiny_seq2seq.NAMES for stack in STACKS if stack not in UNREADABLE.get(name, ())
]
TOLERANCE = 1e-5


@cache
def eager(name):
    """Return the same model, loaded with eager attention."""
    model = tiny_seq2seq.fresh(name)
    loaded = hf.AutoModelForSeq2SeqLM.from_config(model.config, attn_implementation="eager")
    loaded.load_state_dict(model.state_dict())
    return loaded.eval()


def weights_of(name, encoding):
    """Return what the eager model says of each stack, ``(layers, heads, queries, keys)``."""
    source, decoder = encoding.parts()
    with torch.no_grad():
        outputs = eager(name)(
            input_ids=source,
            attention_mask=torch.ones_like(source),
            decoder_input_ids=decoder,
            output_attentions=True,
            use_cache=False,
        )
    stacks = {"encoder": "encoder", "decoder": "decoder", "cross": "cross"}
    found = {}
    for stack, prefix in stacks.items():
        layers = getattr(outputs, f"{prefix}_attentions")
        if layers and layers[0].ndim == 4:
            found[stack] = torch.stack([layer[0] for layer in layers]).numpy()
    if name == "prophetnet":  # it returns the scores before the softmax
        found["encoder"] = torch.softmax(torch.tensor(found["encoder"]), dim=-1).numpy()
    return found


def encoded(name, source=SOURCE, output=OUTPUT):
    return tiny_seq2seq.visualizer_of(name)._encode(source, output)


def of_equal_lengths(encoding):
    """Return a text whose decoder reads as many tokens as its encoder."""
    count = min(len(part[0]) for part in encoding.parts())
    source = encoding.source_length
    kept = [*range(count), *range(source, source + count)]
    tokens = encoding.tokens[0].select(kept)
    inputs = {name: values[:, kept] for name, values in encoding.inputs.items()}
    return type(encoding)((tokens,), inputs, count + 1, (), count)


@pytest.mark.parametrize(("name", "stack"), READABLE)
def test_every_layer_and_head_of_a_stack_is_that_of_an_eager_load(name, stack):
    encoding = encoded(name)
    attention = read_attention(
        tiny_seq2seq.visualizer_of(name).runner.model, encoding, "all", "all", "raw", stack=stack
    )
    assert np.abs(attention.weights - weights_of(name, encoding)[stack]).max() < TOLERANCE
    assert attention.stack == stack
    source, output = encoding.source_length, len(encoding.tokens[0])
    positions = {"encoder": range(source), "decoder": range(source, output)}
    pieces = encoding.tokens[0].pieces
    rows, keys = (positions[{"cross": side}.get(stack, stack)] for side in ("decoder", "encoder"))
    assert attention.queries.pieces == tuple(pieces[position] for position in rows)
    assert attention.keys.pieces == tuple(pieces[position] for position in keys)


@pytest.mark.parametrize("name", FEW)
def test_stacks_of_one_length_are_told_apart(name):
    encoding = of_equal_lengths(encoded(name))
    model = tiny_seq2seq.visualizer_of(name).runner.model
    expected = weights_of(name, encoding)
    for stack in STACKS:
        if stack in UNREADABLE.get(name, ()):
            continue
        attention = read_attention(model, encoding, "all", "all", "raw", stack=stack)
        assert np.abs(attention.weights - expected[stack]).max() < TOLERANCE


@pytest.mark.parametrize("name", FEW)
def test_rows_of_cross_attention_are_the_steps_of_the_output(name):
    visualizer = tiny_seq2seq.visualizer_of(name)
    attention = visualizer.compute_attention(SOURCE, continuation=OUTPUT, layer="all", head="all")
    encoding = encoded(name)
    first = encoding.prompt_length - encoding.source_length
    expected = weights_of(name, encoding)["cross"][:, :, first - 1 : -1]
    assert attention.stack == "cross"
    assert np.abs(attention.weights - expected).max() < TOLERANCE
    assert attention.steps.pieces == encoding.tokens[0].pieces[encoding.prompt_length :]
    # The last row predicted the last token, from the one before.
    assert attention.queries.pieces[-1] == encoding.tokens[0].pieces[-2]


@pytest.mark.parametrize(
    ("name", "stack"), [(name, stack) for name, stacks in UNREADABLE.items() for stack in stacks]
)
def test_attention_of_another_form_is_refused_and_what_works_is_named(name, stack):
    visualizer = tiny_seq2seq.visualizer_of(name)
    with pytest.raises(UnsupportedModelError, match="its softmax is over scores of shape") as caught:
        visualizer.compute_attention(SOURCE, continuation=OUTPUT, stack=stack)
    named = caught.value.hint.partition("stack='")[2].partition("'")[0]
    assert visualizer.compute_attention(SOURCE, continuation=OUTPUT, stack=named).stack == named
    report = visualizer.analyze(SOURCE, continuation=OUTPUT, method="saliency", evaluate=False, show=False)
    assert any("Could not read" in sentence for sentence in report.attention[0].left_out)


def test_a_layout_is_measured_once_and_each_map_costs_one_pass():
    visualizer = Seq2SeqVisualizer(
        model=tiny_seq2seq.fresh("bart"), tokenizer=tiny_seq2seq.tokenizer_of("bart")
    )
    visualizer.compute_attention(SOURCE, continuation=OUTPUT)
    for stack in STACKS:
        for kind in ("raw", "value_weighted"):
            shapes = forwards_of(
                visualizer.model,
                lambda stack=stack, kind=kind: visualizer.compute_attention(
                    SOURCE, continuation=OUTPUT, stack=stack, kind=kind
                ),
            )
            assert len(shapes) == 1
    other = "A far away land"
    shapes = forwards_of(visualizer.model, lambda: visualizer.compute_attention(other, continuation=OUTPUT))
    assert len(shapes) == 1


def test_oracles_see_a_stack_that_is_mistaken_for_another(monkeypatch):
    is_cross = survey._Survey._is_cross
    monkeypatch.setattr(survey._Survey, "_is_cross", lambda self, seen: not is_cross(self, seen))
    name = "bart"
    visualizer = Seq2SeqVisualizer(model=tiny_seq2seq.fresh(name), tokenizer=tiny_seq2seq.tokenizer_of(name))
    encoding = of_equal_lengths(encoded(name))
    expected = weights_of(name, encoding)
    attention = read_attention(visualizer.runner.model, encoding, "all", "all", "raw", stack="cross")
    assert np.abs(attention.weights - expected["cross"]).max() > 0.01
    assert np.abs(attention.weights - expected["decoder"]).max() < TOLERANCE


def parts_by_hand(name, encoding, stack):
    """Return weights, values and output projections of every layer of BART or T5, from their own modules."""
    model, (source, decoder) = eager(name), encoding.parts()
    is_t5, side = name == "t5", "encoder" if stack == "encoder" else "decoder"
    if is_t5:
        blocks = getattr(model, side).block
        index = 1 if stack == "cross" else 0
        own = [
            block.layer[index].EncDecAttention if index else block.layer[0].SelfAttention for block in blocks
        ]
        names = ("v", "o")
    else:
        blocks = getattr(model.model, side).layers
        own = [block.encoder_attn if stack == "cross" else block.self_attn for block in blocks]
        names = ("v_proj", "out_proj")
    values = []
    hooks = [
        getattr(module, names[0]).register_forward_hook(lambda _, __, output: values.append(output[0]))
        for module in own
    ]
    with torch.no_grad():
        model(
            input_ids=source,
            attention_mask=torch.ones_like(source),
            decoder_input_ids=decoder,
            use_cache=False,
        )
    for hook in hooks:
        hook.remove()
    weights = torch.tensor(weights_of(name, encoding)[stack])
    heads = weights.shape[1]
    by_head = [value.view(len(value), heads, -1).transpose(0, 1) for value in values]
    projections = [
        getattr(module, names[1]).weight.detach().T.reshape(heads, -1, model.config.d_model) for module in own
    ]
    return weights, by_head, projections


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", ["bart", "t5"])
def test_value_weighted_attention_is_the_norm_of_what_each_key_adds(name, stack):
    encoding = encoded(name)
    weights, values, projections = parts_by_hand(name, encoding, stack)
    norms = [
        torch.einsum("hkd,hdm->hkm", value, projection).norm(dim=-1)
        for value, projection in zip(values, projections, strict=True)
    ]
    expected = weights * torch.stack(norms)[:, :, None]
    model = tiny_seq2seq.visualizer_of(name).runner.model
    attention = read_attention(model, encoding, "all", "all", "value_weighted", stack=stack)
    assert np.abs(attention.weights - expected.numpy()).max() < 1e-4 * float(expected.max())


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize("name", ["bart", "t5"])
def test_gradient_weighted_attention_follows_a_stack_of_its_own(name, stack):
    encoding = encoded(name)
    source, decoder = encoding.parts()
    model = eager(name)
    outputs = model(
        input_ids=source,
        attention_mask=torch.ones_like(source),
        decoder_input_ids=decoder,
        output_attentions=True,
        use_cache=False,
    )
    layers = getattr(outputs, f"{stack}_attentions")
    gradients = torch.autograd.grad(outputs.logits[0, -1].max(), layers)
    expected = torch.eye(layers[0].shape[-1])
    for weights, gradient in zip(layers, gradients, strict=True):
        step = (weights * gradient)[0].clamp(min=0).mean(dim=0).detach()
        expected = expected + step @ expected
    found = read_attention(
        tiny_seq2seq.visualizer_of(name).runner.model, encoding, -1, "mean", "gradient_weighted", stack=stack
    )
    assert np.abs(found.weights[0, 0] - expected.numpy()).max() < 1e-4


@pytest.mark.parametrize("name", ["bart", "t5", "prophetnet", "bert-to-gpt2"])
def test_rollout_of_the_encoder_multiplies_its_layers(name):
    encoding = encoded(name)
    expected = np.eye(encoding.source_length)
    for weights in weights_of(name, encoding)["encoder"].mean(axis=1):
        expected = (weights + np.eye(len(weights))) / 2 @ expected
    found = read_attention(
        tiny_seq2seq.visualizer_of(name).runner.model, encoding, -1, "mean", "rollout", stack="encoder"
    )
    assert np.abs(found.weights[0, 0] - expected).max() < TOLERANCE


def test_value_zeroing_runs_the_whole_block_of_a_model_whose_blocks_are_lists():
    encoding = encoded("t5")
    model = eager("t5")
    source = encoding.parts()[0]
    block = model.encoder.block[0]
    values = block.layer[0].SelfAttention.v

    def states(token):
        def zeroed(_, __, output):
            output = output.clone()
            output[:, token] = 0
            return output

        hook = None if token is None else values.register_forward_hook(zeroed)
        kept = []
        after = block.register_forward_hook(lambda _, __, output: kept.append(output[0]))
        with torch.no_grad():
            model.encoder(input_ids=source, attention_mask=torch.ones_like(source))
        after.remove()
        if hook:
            hook.remove()
        return kept[0].reshape(source.shape[1], -1)

    before = states(None)
    expected = torch.stack(
        [
            1 - torch.nn.functional.cosine_similarity(before, states(token), dim=-1)
            for token in range(source.shape[1])
        ],
        dim=1,
    ).clamp(min=0)
    expected = expected / expected.sum(-1, keepdim=True)
    found = read_attention(
        tiny_seq2seq.visualizer_of("t5").runner.model, encoding, 0, "mean", "value_zeroing", stack="encoder"
    )
    assert np.abs(found.weights[0, 0] - expected.numpy()).max() < 1e-3


@pytest.mark.parametrize("stack", ["cross", "decoder"])
@pytest.mark.parametrize("kind", ["rollout", "value_zeroing", "information_flow"])
def test_maps_of_one_stack_are_refused_where_tokens_come_from_two(kind, stack):
    with pytest.raises(UnsupportedModelError, match="also attends to its encoder") as caught:
        tiny_seq2seq.visualizer_of("bart").compute_attention(
            SOURCE, continuation=OUTPUT, kind=kind, stack=stack
        )
    assert "stack='encoder'" in caught.value.hint


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", ["bart", "t5", "t5gemma", "bert-to-gpt2"])
def test_queries_and_keys_give_the_weights_of_the_stack(name, stack):
    visualizer = tiny_seq2seq.visualizer_of(name)
    encoding = encoded(name)
    expected = weights_of(name, encoding)[stack]
    reading = visualizer.compute_query_key(
        SOURCE, continuation=OUTPUT, layer=0, head=1, query=-2, stack=stack
    )
    assert np.abs(reading.weights - expected[0, 1, -2]).max() < TOLERANCE
    scores = reading.scores
    assert (
        np.abs(np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum() - reading.weights).max()
        < 1e-4
    )
    assert len(reading.tokens) == expected.shape[-1]
    assert len(reading.rows) == expected.shape[-2]
    first = 0 if stack == "encoder" else encoding.source_length
    given = visualizer.compute_query_key(
        SOURCE, continuation=OUTPUT, layer=0, head=1, query=first + expected.shape[-2] - 2, stack=stack
    )
    assert given.query == reading.query
    assert np.array_equal(given.query_vector, reading.query_vector)


@pytest.mark.parametrize(
    ("name", "stack"), [case for case in READABLE if case[0] in ("bart", "t5", "led", "prophetnet")]
)
def test_entropies_of_heads_are_those_of_the_stacks_rows(name, stack):
    visualizer = tiny_seq2seq.visualizer_of(name)
    weights = weights_of(name, encoded(name))[stack].astype(np.float64)
    entropies = -(weights * np.log(np.maximum(weights, 1e-300))).sum(axis=-1)
    if stack == "decoder":  # the first row has no choice
        entropies = entropies[..., 1:]
    found = visualizer.score_heads(SOURCE, continuation=OUTPUT, stack=stack)
    assert found.stack == stack
    is_within = stack != "cross"
    assert found.names == (
        "entropy",
        *(("distance", "previous_token") if is_within else ()),
        "delimiter",
        "sink",
    )
    assert np.abs(found.of("entropy") - entropies.mean(axis=-1)).max() < 1e-4


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", ["bart", "t5"])
def test_ablation_is_the_drop_without_a_head_of_the_stack(name, stack):
    visualizer, encoding = tiny_seq2seq.visualizer_of(name), encoded(name)
    (source, decoder), model = encoding.parts(), tiny_seq2seq.fresh(name)
    side = "encoder" if stack == "encoder" else "decoder"
    if name == "t5":
        parts = model.get_submodule(side).block[1].layer
        projection = (parts[1].EncDecAttention if stack == "cross" else parts[0].SelfAttention).o
    else:
        block = model.model.get_submodule(side).layers[1]
        projection = (block.encoder_attn if stack == "cross" else block.self_attn).out_proj
    first = encoding.prompt_length - encoding.source_length

    def value():
        with torch.no_grad():
            logits = tiny_seq2seq.logits(model, source, decoder)
        steps = logits.log_softmax(-1)[first - 1 : -1]
        return float(steps.gather(1, decoder[0, first:, None]).sum())

    def without(head):
        width = projection.weight.shape[1] // 4

        def zeroed(_, arguments):
            (given,) = arguments
            given = given.clone()
            given[..., head * width : (head + 1) * width] = 0
            return (given,)

        hook = projection.register_forward_pre_hook(zeroed)
        try:
            return value()
        finally:
            hook.remove()

    expected = [value() - without(head) for head in range(4)]
    found = visualizer.score_heads(SOURCE, continuation=OUTPUT, scores="ablation", stack=stack)
    assert np.abs(found.of("ablation")[1] - expected).max() < 1e-3


def test_scores_that_compare_positions_are_refused_for_cross_attention():
    visualizer = tiny_seq2seq.visualizer_of("bart")
    for score in ("distance", "previous_token", "induction_in_text"):
        with pytest.raises(InputError, match="compares positions in one text") as caught:
            visualizer.score_heads(SOURCE, continuation=OUTPUT, scores=score, stack="cross")
        assert "stack='encoder'" in caught.value.hint
    with pytest.raises(UnsupportedModelError, match="repeat random tokens"):
        visualizer.score_heads(SOURCE, continuation=OUTPUT, scores="induction", stack="encoder")


@pytest.mark.parametrize("name", ["bart", "t5", "prophetnet"])
def test_a_report_keeps_every_stack_cross_attention_first(name):
    report = tiny_seq2seq.visualizer_of(name).analyze(
        SOURCE, continuation=OUTPUT, method="saliency", evaluate=False, show=False
    )
    readable = [stack for stack in STACKS if stack not in UNREADABLE.get(name, ())]
    assert list(dict.fromkeys(attention.stack for attention in report.attention)) == readable
    expected = weights_of(name, encoded(name))
    for stack in readable:
        whole = next(
            attention
            for attention in report.attention
            if attention.stack == stack and attention.map == "raw" and attention.heads == (0, 1, 2, 3)
        )
        rows = expected[stack] if stack == "encoder" else expected[stack][:, :, -len(whole.rows) - 1 : -1]
        assert np.abs(whole.weights - rows).max() < TOLERANCE
    restored = Report.from_json(report.to_json())
    assert [attention.stack for attention in restored.attention] == [
        attention.stack for attention in report.attention
    ]
    assert isinstance(restored.attention[0], AttentionMap)


@pytest.mark.parametrize("keep", ["pooled:4", "top:3", "mass"])
@pytest.mark.parametrize("stack", STACKS)
def test_less_than_every_weight_of_a_stack(keep, stack):
    visualizer, encoding = tiny_seq2seq.visualizer_of("bart"), encoded("bart")
    model = visualizer.runner.model
    found = read_attention(model, encoding, 0, [1], "raw", stack=stack, keep=keep)
    whole = weights_of("bart", encoding)[stack][0, 1]
    if keep == "mass":
        assert np.abs(found.weights[0, 0, 0] - whole.mean(axis=0)).max() < TOLERANCE
    elif keep == "top:3":
        assert np.abs(found.weights[0, 0] - np.sort(whole)[:, ::-1][:, :3]).max() < TOLERANCE
    else:
        groups = [slice(start, start + 4) for start in range(0, whole.shape[0], 4)]
        columns = [slice(start, start + 4) for start in range(0, whole.shape[1], 4)]
        expected = [[whole[rows, keys].sum(axis=1).mean() for keys in columns] for rows in groups]
        assert np.abs(found.weights[0, 0] - expected).max() < TOLERANCE
        first = 0 if stack == "encoder" else encoding.source_length
        assert found.queries.pieces[0] == f"{first}–{first + 3}"


def test_a_page_places_rows_and_keys_on_their_own_sides():
    visualizer, encoding = tiny_seq2seq.visualizer_of("bart"), encoded("bart")
    report = visualizer.analyze(
        SOURCE, continuation=OUTPUT, method="saliency", evaluate=False, show=False
    ).with_query_keys(visualizer.compute_query_key(SOURCE, continuation=OUTPUT, query=-2))
    source, steps, count = encoding.source_length, encoding.prompt_length, len(encoding.tokens[0])
    sides = {
        "cross": (range(steps, count), range(source)),
        "encoder": (range(source), range(source)),
        "decoder": (range(steps, count), range(source, count)),
    }
    payload = report_payload(report)
    for attention in payload["attention"]:
        rows, keys = sides[attention["stack"]]
        assert attention["rowTable"] == attention["keyTable"] == 0
        assert attention["rowPositions"] == [*rows]
        assert attention["keyPositions"] == [*keys]
    assert [attention["name"] for attention in payload["attention"][:2]] == [
        "Cross attention",
        "Cross attention (value_weighted)",
    ]
    (held,) = payload["neurons"]["held"]
    assert (held["queryTable"], held["query"]) == (0, count - 2)
    assert set(held["keys"]) <= {*range(source)}
    assert payload["heads"]["stack"] == "cross"
