from dataclasses import replace

import numpy as np
import pytest

from biopsy_analyzer.training.augment import LOOKS, draw_sample, smoothed
from biopsy_analyzer.training.banks import Bank
from discs import write_discs


@pytest.fixture(params=[True, False], ids=["drawn", "real"])
def bank(request, tmp_path):
    return Bank(write_discs(tmp_path / "bank", size=256, drawn=request.param))


@pytest.mark.parametrize("kind", ["fibres", "nuclei"])
def test_the_same_seed_gives_the_same_sample(bank, kind):
    patch = bank.patch(1, kind)
    one, two, other = (draw_sample(patch, kind, np.random.default_rng(seed), 96) for seed in (5, 5, 6))
    for name in ("rgb", "foreground", "depth", "classes", "weight"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
        assert getattr(one, name).shape[:2] == (96, 96)
    assert not np.array_equal(one.rgb, other.rgb)


def test_picture_and_targets_stay_together(bank):
    """Discs are darker than glass, whatever the stain, place and light."""
    for seed in range(40):
        sample = draw_sample(bank.patch(seed % 12, "fibres"), "fibres", np.random.default_rng(seed), 128)
        inside, outside = sample.depth > 0.3, sample.foreground == 0
        if inside.any() and outside.any():
            grey = sample.rgb.mean(-1)
            assert grey[inside].mean() < grey[outside].mean() - 5
        assert set(np.unique(sample.classes)) <= {0, 1, 2, 3, 4}
        assert not sample.classes[outside].any()
        assert (sample.classes[inside] > 0).all()
        assert sample.weight.min() >= 1


def test_stains_vary_widely(tmp_path):
    bank = Bank(write_discs(tmp_path / "bank", size=256))
    colours = []
    for seed in range(60):
        sample = draw_sample(bank.patch(1, "fibres"), "fibres", np.random.default_rng(seed), 96)
        inside = sample.depth > 0.3
        if inside.any():
            colours.append(sample.rgb[inside].mean(0))
    assert np.std(colours, axis=0).min() > 12


def test_void_truth_has_no_weight(bank):
    patch = bank.patch(1, "fibres")
    patch = replace(patch, ignore=np.ones_like(patch.ignore))
    samples = [draw_sample(patch, "fibres", np.random.default_rng(seed), 64) for seed in range(20)]
    assert all(not sample.weight[sample.rgb.min(-1) < 255].any() for sample in samples)


def test_freezing_holes_are_clear_spots_inside_objects_and_change_no_truth(bank, monkeypatch):
    patch, clear = bank.patch(1, "fibres"), 0.0
    for seed in range(12):
        frozen, whole = (drawn_with(monkeypatch, patch, seed, frozen=share) for share in (1.0, 0.0))
        for name in ("foreground", "depth", "classes", "weight"):
            assert np.array_equal(getattr(frozen, name), getattr(whole, name))
        if whole.foreground.any():
            clear += frozen.rgb[frozen.depth > 0.2].std() - whole.rgb[whole.depth > 0.2].std()
    assert clear > 0


def test_less_grain_changes_no_truth(tmp_path, monkeypatch):
    bank = Bank(write_discs(tmp_path / "bank", size=256))
    for seed in range(6):
        smooth, grainy = (drawn_with(monkeypatch, bank.patch(1, "fibres"), seed, smoothed=share) for share in (1.0, 0.0))
        for name in ("foreground", "depth", "classes", "weight"):
            assert np.array_equal(getattr(smooth, name), getattr(grainy, name))


def test_grain_shrinks_in_fibres_and_their_holes_stay():
    rng = np.random.default_rng(0)
    inside = np.zeros((128, 128), bool)
    inside[16:112, 16:112] = True
    hole = np.zeros_like(inside)
    hole[60:68, 20:108] = True
    amount = np.where(inside[..., None], rng.normal(60, 3, (128, 128, 3)), 10).astype(np.uint8)
    amount[hole] = 5
    middle = np.zeros_like(inside)
    middle[24:50, 24:104] = True
    for seed in range(5):
        smooth = smoothed(amount, inside, np.random.default_rng(seed))
        assert np.array_equal(smooth[~inside], amount[~inside])
        assert smooth[middle].std() < 0.85 * amount[middle].std()
        assert smooth[middle].mean() == pytest.approx(amount[middle].mean(), rel=0.02)
        assert smooth[hole].max() < 0.15 * 60


def drawn_with(monkeypatch, patch, seed, **shares):
    monkeypatch.setitem(LOOKS, "fibres", replace(LOOKS["fibres"], **shares))
    return draw_sample(patch, "fibres", np.random.default_rng(seed), 96)


def test_two_touching_objects_weigh_more_at_their_border(bank):
    patch = bank.patch(1, "fibres")
    halves = replace(patch, labels=np.where(np.arange(256) < 128, 1, 2)[None].repeat(256, 0))
    heavy = [draw_sample(halves, "nuclei", np.random.default_rng(seed), 256).weight.max() for seed in range(5)]
    assert max(heavy) == pytest.approx(4)
