"""The made sections are what they say, and the validation runs from end to end on a few of them."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def test_a_large_section_has_the_shares_of_its_muscle():
    import score_cohort

    disease = replace(score_cohort.ANY, patch_um=(60.0, 80.0), in_foci=0.0)
    made = score_cohort.make_section(np.random.default_rng(1), disease, 60.0)
    state = made.fibres["state"]
    necrotic = state.isin(("necrotic", "pale-fragmented")).mean()
    cells = (made.nuclei["type"].isin(("lymphocyte", "macrophage")) & ~made.nuclei["inside"]).sum() / made.area_mm2
    assert necrotic == pytest.approx(made.truth[0], rel=0.2)
    assert (state == "regenerating").mean() == pytest.approx(made.truth[1], rel=0.2)
    assert cells == pytest.approx(made.truth[2], rel=0.2)


def test_the_reader_errs_as_measured():
    import score_cohort

    reader = score_cohort.Reader(BENCHMARKS / "score_reader")
    made = score_cohort.make_section(np.random.default_rng(2), score_cohort.DISEASES["toxic"], 4.0)
    read = reader.read(made, np.random.default_rng(3))
    matched = made.fibres.set_index("fibre_id").loc[read.read_fibres["fibre_id"], "state"].to_numpy()
    right = (matched == read.read_fibres["state"]).mean()
    assert 0.75 < right < 1
    assert 0.5 < len(read.read_fibres) / len(made.fibres) <= 1
    whole = reader.read(made, np.random.default_rng(3), misses=False)
    assert len(whole.read_fibres) == len(made.fibres)


def test_coverage_and_cohort_run():
    import score_validation as validation

    table = validation.coverage_table(validation.coverage(3, "read"))
    assert table["axis"].tolist() == list(validation.AXES)
    assert table["covered"].between(0, 1).all()
    made = validation.make_section(np.random.default_rng(0), validation.DISEASES["IMNM"], 2.0)
    half = validation.missing_half(made)
    assert len(half.read_fibres) == pytest.approx(len(made.read_fibres) / 2, abs=1)
    fewer = validation.wrong_outlines(0.5)(made, np.random.default_rng(0))
    assert len(fewer.read_fibres) / len(made.read_fibres) == pytest.approx(0.625, abs=0.06)
    sicker = validation.shifted(2.0)(validation.Reader(validation.KEPT).read(made, np.random.default_rng(0)), np.random.default_rng(0))
    assert validation.scored(sicker).scores.necrosis.measured >= validation.scored(made).scores.necrosis.measured
