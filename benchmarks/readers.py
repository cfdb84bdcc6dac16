"""Two readers of the held-out images, and the network against each: what an F1 can reach where outlines drawn by eye differ.

    python benchmarks/readers.py ../shared/real [--models DIR | --no-network]

Reader 1 is annotations/, reader 2 annotations/second_reader/, drawn blind. Exclusions are those of `evaluate`, but what either reader
calls unsure is left out of every comparison alike. Both are a language model's eye and share its habits: two pathologists would
differ more. Intervals: 95 % bootstrap over the fibres of one image, too narrow for other images.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from biopsy_analyzer.models import Models, load_models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tables import FIBRE_STATES
from biopsy_analyzer.training.agreement import segmentation_figures
from biopsy_analyzer.training.judge import Prediction, judge, prediction_of
from biopsy_analyzer.training.truth import Truth, read_folder

ANNOTATIONS = Path(__file__).parents[1] / "annotations"
FIGURES = ("f1_50", "f1_75", "mean_iou", "dice", "area_bias")
ROUNDS = 1000
SHOWN = ["x_px", "y_px", "iou", "truth_px", "pred_px", "cut", "truth_class", "pred_class"]


def compare(annotations: Path, images: Path, models: Models | None) -> dict[str, dict[str, pd.DataFrame]]:
    """Fibre units (see `agreement`) by image and "prediction against truth", with both states and x_px, y_px of the object's middle.

    Without models the readers alone.
    """
    first = {truth.name: truth for truth in read_folder(annotations, images=images)}
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for second in read_folder(annotations / "second_reader", images=images):
        readers = {"reader 1": first[second.name], "reader 2": second}
        unsure = np.logical_or.reduce([reader.ignore for reader in readers.values()])
        others = {"reader 2": Prediction(fibres=Labels(second.fibres, second.grid), fibre_state=second.fibre_state)}
        if models is not None:
            others["network"] = _network(second, models)
        pairs = [(truth, other) for other in others for truth in readers if truth != other]
        found[second.name] = {
            f"{other} against {truth}": _units(dataclasses.replace(readers[truth], ignore=unsure), others[other]) for truth, other in pairs
        }
    return found


def _network(truth: Truth, models: Models) -> Prediction:
    with open_slide(truth.image, um_per_px=truth.grid.um_per_px) as slide:
        return prediction_of(analyze_slide(slide, models))


def _units(truth: Truth, prediction: Prediction) -> pd.DataFrame:
    judged = judge(truth, prediction, Settings())
    units = judged.fibres
    middles = {"truth_id": _middles(truth.fibres), "pred_id": _middles(judged.fibre_pixels)}
    missed = (units.truth_id > 0).to_numpy()[:, None]
    xy = np.where(missed, middles["truth_id"].reindex(units.truth_id), middles["pred_id"].reindex(units.pred_id))
    return units.assign(x_px=xy[:, 0], y_px=xy[:, 1])


def _middles(labels: np.ndarray) -> pd.DataFrame:
    y, x = np.nonzero(labels)
    return pd.DataFrame({"x": x, "y": y}).groupby(labels[y, x]).mean().round()


def kappa(units: pd.DataFrame) -> tuple[float, tuple[float, float], int, int]:
    """Cohen's kappa of the states of fibres that both find and are sure of, its 95 % bootstrap interval, how many of how many agree.

    nan where both call all of them the same one state: chance would agree as well.
    """
    both = units[~units.void & units.truth_class.isin(FIBRE_STATES) & units.pred_class.isin(FIBRE_STATES)]
    pairs = np.column_stack([both[column].map(FIBRE_STATES.index) for column in ("truth_class", "pred_class")]).astype(int)
    n, draws = len(pairs), np.random.default_rng(0)
    values = np.array([_kappa(pairs)] + [_kappa(pairs[draws.integers(0, n, n)]) for _ in range(ROUNDS if n else 0)])
    known = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return values[0], (low, high), int((pairs[:, 0] == pairs[:, 1]).sum()), n


def _kappa(pairs: np.ndarray) -> float:
    shares = np.stack([np.bincount(column, minlength=len(FIBRE_STATES)) for column in pairs.T]) / max(len(pairs), 1)
    chance = float(shares[0] @ shares[1])
    return (float((pairs[:, 0] == pairs[:, 1]).mean()) - chance) / (1 - chance) if len(pairs) and chance < 1 - 1e-9 else float("nan")


def print_pair(image: str, pair: str, units: pd.DataFrame) -> None:
    """The figures, and every fibre of the annotated region that the two outline differently."""
    figures = segmentation_figures(units)
    print(f"\n{image}, {pair}: {figures['f1_50'].n} fibres of the truth")
    for name in FIGURES:
        value, ci95 = figures[name].value, figures[name].ci95
        print(f"  {name:<9} " + ("none to judge" if value is None or ci95 is None else f"{value:.3f} ({ci95[0]:.3f} to {ci95[1]:.3f})"))
    value, (low, high), agreed, n = kappa(units)
    print(f"  states    {agreed} of {n} agree, kappa {value:.3f} ({low:.3f} to {high:.3f})")
    print(units.loc[~units.void & (units.iou <= 0.75), SHOWN].to_string(index=False, float_format="{:.2f}".format))


def print_limit(image: str, readers: pd.DataFrame, network: pd.DataFrame) -> None:
    """How often the network fails where both readers agree: what is its fault, and what nobody can be sure of."""
    known = [set(units.truth_id[(units.truth_id > 0) & ~units.void]) for units in (readers, network)]
    alike, found = (set(units.truth_id[units.iou > 0.75]) for units in (readers, network))
    both = known[0] & known[1]
    for what, fibres in (("alike", both & alike), ("differently", both - alike)):
        agreed = len(fibres & found)
        print(f"{image}: of {len(fibres)} fibres that the readers outline {what} (IoU 0.75), the network agrees with reader 1 on {agreed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of the real images")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--no-network", action="store_true", help="the readers alone")
    arguments = parser.parse_args()
    models = None if arguments.no_network else load_models(arguments.models)
    for image, pairs in compare(ANNOTATIONS, arguments.images, models).items():
        for pair, units in pairs.items():
            print_pair(image, pair, units)
        if models is not None:
            print_limit(image, pairs["reader 2 against reader 1"], pairs["network against reader 1"])


if __name__ == "__main__":
    main()
