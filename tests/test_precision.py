"""Scores do not move when the networks compute in bfloat16: one drawn section, analysed in float32 and in bfloat16.

Many sections and real images: benchmarks/precision.py.
"""

import cv2
import pytest

from biopsy_analyzer.models import load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.segment.precision import choose_precision
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.training.draw import draw_section, render

SEED = 9_310_100  # a section that neither training nor `evaluate` draws
AXES = ("necrosis", "regeneration", "inflammation")
MARGIN = 0.02  # of the objects found: as many may come or go, where a probability lies at its threshold


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Result]:
    if choose_precision("cpu") != "bfloat16":
        pytest.skip("this processor does not multiply bfloat16, so nothing computes in it")
    path = tmp_path_factory.mktemp("precision") / "drawn.png"
    rgb = render(draw_section(SEED, (1024, 1024), "usual", "necrotizing"), SEED, "usual")
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    results = []
    for precision in ("float32", "bfloat16"):
        models = load_models(None, "cpu", precision)
        with open_slide(path, um_per_px=0.5) as slide:
            results.append(analyze_slide(slide, models))
        assert {model.precision for model in results[-1].models} == {precision, None}
    return results[0], results[1]


@pytest.mark.parametrize("table", ["fibres", "nuclei"])
def test_as_many_objects_of_each_class_are_found(both: tuple[Result, Result], table: str) -> None:
    column = {"fibres": "state", "nuclei": "type"}[table]
    exact, fast = (getattr(result, table)[column].value_counts() for result in both)
    assert exact.sum() > {"fibres": 60, "nuclei": 200}[table]
    assert fast.sum() == pytest.approx(exact.sum(), rel=MARGIN)
    assert (fast.sub(exact, fill_value=0).abs() <= MARGIN * exact.sum()).all()


@pytest.mark.parametrize("axis", AXES)
def test_each_score_lies_in_the_others_interval_and_hardly_moves_in_it(both: tuple[Result, Result], axis: str) -> None:
    exact, fast = (getattr(result.scores.scores, axis) for result in both)
    assert exact.ci95[0] <= fast.value <= exact.ci95[1]
    assert fast.ci95[0] <= exact.value <= fast.ci95[1]
    assert abs(fast.value - exact.value) < 0.1 * (exact.ci95[1] - exact.ci95[0])


def test_the_pattern_is_the_same(both: tuple[Result, Result]) -> None:
    exact, fast = (result.scores.pattern.label for result in both)
    assert exact == fast
