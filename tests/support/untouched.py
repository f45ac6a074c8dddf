"""Everything of a model and of the process that a run could change, to be compared before and after."""

import json

import numpy as np
import tiny_models
import torch


def snapshot(model):
    """Return everything about a model that a run could change, and the state of the random generators."""
    return {
        "state": {name: values.clone() for name, values in model.state_dict().items()},
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "grad": {name: p.grad for name, p in model.named_parameters()},
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": {
            name: [
                len(getattr(module, kind))
                for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
            ]
            for name, module in model.named_modules()
        },
        "config": json.dumps(model.config.to_dict(), default=str, sort_keys=True),
        "generation_config": getattr(model, "generation_config", None),
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "random": (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()),
        "gradient mode": torch.is_grad_enabled(),
    }


def assert_same(before, after):
    for key in before:
        if key == "state":
            assert before[key].keys() == after[key].keys()
            for name, values in before[key].items():
                assert torch.equal(values, after[key][name]), name
        else:
            assert before[key] == after[key], key


def prepared(name):
    """Return a model in the middle of its owner's training: some modules in train mode, some frozen."""
    model = tiny_models.fresh(name)
    model.train()
    for number, (parameter, module) in enumerate(zip(model.parameters(), model.modules(), strict=False)):
        parameter.requires_grad_(number % 3 != 0)
        if number % 4 == 1:
            module.eval()
    return model
