import itertools

import numpy as np
import pytest

from model_understanding import InputError
from model_understanding.show.page.css import palette_css
from model_understanding.show.shared.colors import PALETTES, contrast, luminance, palette, text_on, tint

STEPS = np.linspace(0, 1, 101)
# Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
COLOR_BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.005, 0.691, 0.304]],
}


def seen(color: str, kind: str) -> np.ndarray:
    channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    shifted = np.clip(np.array(COLOR_BLINDNESS[kind]) @ linear, 0, 1)
    return np.where(shifted <= 0.0031308, 12.92 * shifted, 1.055 * shifted ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *itertools.product(("text", "muted"), ("background", "surface", "sink")),
        ("caution_text", "caution"),
    ],
)
def test_words_stand_out_from_what_lies_behind_them(theme, ink, ground):
    assert contrast(getattr(palette(theme), ink), getattr(palette(theme), ground)) >= 4.5


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize("name", ["supports", "against", "unsigned"])
def test_bars_stand_out_from_the_background(theme, name):
    assert contrast(getattr(palette(theme), name), palette(theme).background) >= 3


@pytest.mark.parametrize("theme", PALETTES)
def test_words_on_every_color_of_every_ramp_are_readable(theme):
    colors = palette(theme)
    faces = {ramp(step) for ramp in (colors.magnitude, colors.attention, colors.signed) for step in STEPS}
    faces |= {colors.signed(-step) for step in STEPS}
    assert min(contrast(text_on(face), face) for face in faces) >= 4.5


@pytest.mark.parametrize("ramp", ["magnitude", "attention"])
def test_sequential_ramps_run_away_from_the_background_without_turning(ramp):
    light = [luminance(getattr(palette("light"), ramp)(step)) for step in STEPS]
    dark = [luminance(getattr(palette("dark"), ramp)(step)) for step in STEPS]
    assert (np.diff(light) < 0).all()
    assert (np.diff(dark) > 0).all()


@pytest.mark.parametrize("theme", PALETTES)
def test_the_signed_ramp_is_neutral_at_zero_and_as_strong_on_both_sides(theme):
    signed = palette(theme).signed
    red, green, blue = (int(signed(0.0)[i : i + 2], 16) for i in (1, 3, 5))
    assert max(red, green, blue) - min(red, green, blue) <= 2
    for step in STEPS:
        assert abs(luminance(signed(step)) - luminance(signed(-step))) < 0.06


@pytest.mark.parametrize("theme", PALETTES)
@pytest.mark.parametrize("kind", COLOR_BLINDNESS)
def test_signs_stay_apart_for_the_color_blind(theme, kind):
    colors = palette(theme)
    for up, down in ((colors.supports, colors.against), (colors.signed(0.5), colors.signed(-0.5))):
        assert np.linalg.norm(seen(up, kind) - seen(down, kind)) > 0.25


@pytest.mark.parametrize("theme", PALETTES)
def test_a_masked_cell_looks_unlike_a_weight_of_zero(theme):
    colors = palette(theme)
    assert contrast(colors.masked, colors.attention(0)) >= 1.2


def test_the_page_has_every_color_in_both_themes():
    for colors in PALETTES.values():
        assert f"--mu-muted:{colors.muted};" in palette_css()
        assert f"--mu-supports:{colors.supports};" in palette_css()


def test_an_unknown_theme_is_refused():
    with pytest.raises(InputError) as caught:
        palette("blue")
    assert str(caught.value) == "Unknown theme 'blue'. Allowed: light, dark. Pass theme='light'."


@pytest.mark.parametrize("kind", ["supports", "against", "unsigned", "attention"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_either_theme_is_readable_on_a_tint(kind, theme):
    colors = PALETTES[theme]
    for strength in (0.0, 0.5, 1.0):
        *channels, opacity = map(
            float, tint(strength, kind).removeprefix("rgba(").removesuffix(")").split(",")
        )
        ground = [int(colors.background[i : i + 2], 16) for i in (1, 3, 5)]
        mixed = [round(opacity * a + (1 - opacity) * b) for a, b in zip(channels, ground, strict=True)]
        assert contrast(colors.text, "#" + "".join(f"{channel:02x}" for channel in mixed)) >= 4.5
    assert tint(1.0, kind, faded=True) != tint(1.0, kind)
