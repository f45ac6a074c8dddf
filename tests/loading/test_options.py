"""Dtypes and devices: those that are used, and those that are refused."""

import pytest
import tiny_models
import tiny_tokenizers
import torch

from model_understanding import InputError, ModelVisualizer

from .checkpoints import refusal


def test_dtypes(tmp_path):
    half = tiny_models.fresh("bert").half()
    half.save_pretrained(tmp_path)
    tiny_tokenizers.wordpiece().save_pretrained(tmp_path)
    loaded = {
        dtype: ModelVisualizer(tmp_path, device="cpu", dtype=dtype)
        for dtype in (None, "auto", "bfloat16", torch.float16, "torch.float64")
    }
    dtypes = [visualizer.model.dtype for visualizer in loaded.values()]
    assert dtypes == [torch.float32, torch.float16, torch.bfloat16, torch.float16, torch.float64]
    assert loaded[None].runner.model.loaded.provenance.dtype == "float32"
    assert loaded["auto"].runner.model.loaded.provenance.dtype == "float16"


@pytest.mark.parametrize("dtype", ["float31", "nn", "int8", 3])
def test_unknown_dtypes(saved, dtype):
    assert refusal(InputError, saved / "bert", dtype=dtype) == (
        f"Unknown dtype '{dtype}': weights need a floating-point dtype. "
        "Use float32, bfloat16, float16 or auto."
    )


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_unknown_devices(saved, device, monkeypatch):
    monkeypatch.setattr("model_understanding.loading.options._best_device", lambda: "cpu")
    assert refusal(InputError, saved / "bert", device=device) == (
        f"The device '{device}' is not available on this machine. Use device 'cpu', or leave the device out."
    )
