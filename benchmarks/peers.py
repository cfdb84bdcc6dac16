"""The same field of 2048 x 2048 px through this project and through the peers that are installed, CPU seconds in one run on one machine.

    python benchmarks/peers.py [--peers thresholds cellpose cellpose_default stardist] [--python cellpose=PATH ...] [--slide FILE]

Peers need environments of their own (`pip install "cellpose<4"`; `pip install stardist tensorflow-cpu`); --python says whose interpreter
runs which one. A peer that can't be imported is a row that says so. Their weights can't be fetched everywhere, and time does not depend on
them: networks are built as their authors configure them, with random weights; what follows the network gets outputs as they would be,
computed with the peer's own functions from the objects that this project finds. Peers segment fibres or nuclei only; "ours" is the whole
analysis of both, with states, clusters and score, without files. Research use only; nothing here compares accuracy.
"""

from __future__ import annotations

import argparse
import functools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SLIDE = Path(__file__).parents[1] / "sample_slides" / "necrotizing.tif"
FIBRE_PX = 100.0  # diameter of a fibre of 50 um at 0.5 um/px, as one tells Cellpose
Row = dict[str, Any]


def cpu_of(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of all threads, and what it gave."""
    started = time.process_time()
    result = function()
    return time.process_time() - started, result


def ours(slide: Path, field: Path) -> Row:
    """Both networks and everything after them but the files; writes the field and its labels for the others."""
    import cv2
    import torch

    from biopsy_analyzer.models import load_models
    from biopsy_analyzer.pipeline import analyze_slide
    from biopsy_analyzer.slide import open_slide

    torch.set_num_threads(1)
    models = load_models(None, "cpu")
    with open_slide(slide) as source:
        rgb = source.read(source.grid())
        analyze_slide(source, models)
        whole, result = cpu_of(lambda: analyze_slide(source, models))
        grid, labels = source.grid(), {}
        for kind, found in (("fibres", result.fibre_labels), ("nuclei", result.nucleus_labels)):
            canvas = found.grid
            size = tuple(round(n * canvas.um_per_px / grid.um_per_px) for n in canvas.shape[::-1])
            pixels = cv2.resize(found.pixels[:, :].astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
            top, left = (round((a - b) / grid.um_per_px) for a, b in zip(canvas.origin_um, grid.origin_um, strict=True))
            out = np.zeros(grid.shape, np.int32)
            y, x = max(top, 0), max(left, 0)
            part = pixels[y - top : y - top + grid.shape[0] - y, x - left : x - left + grid.shape[1] - x]
            out[y : y + part.shape[0], x : x + part.shape[1]] = part
            labels[kind] = out
    np.savez_compressed(field, rgb=rgb, **labels)
    network = 0.0
    for one in (models.fibres, models.nuclei):
        edge = round(rgb.shape[0] * grid.um_per_px / one.um_per_px / one.stride) * one.stride
        pixels = np.ascontiguousarray(cv2.resize(rgb, (edge, edge), interpolation=cv2.INTER_AREA))[None]
        one.maps(pixels)
        network += cpu_of(lambda one=one, pixels=pixels: one.maps(pixels))[0]
    note = f"{models.fibres.precision}; fibres, nuclei, states, clusters, score"
    return {"network": network, "after": whole - network, "objects": len(result.fibres) + len(result.nuclei), "note": note}


def thresholds(field: dict[str, np.ndarray]) -> Row:
    """Nuclei without learning: haematoxylin above Otsu's threshold, watershed on the distance (scikit-image)."""
    from scipy import ndimage
    from skimage import color, feature, filters, measure, segmentation

    def run() -> np.ndarray:
        blue = filters.gaussian(color.rgb2hed(field["rgb"])[..., 0], 1)
        mask = blue > filters.threshold_otsu(blue)
        depth = ndimage.distance_transform_edt(mask)
        seeds = np.zeros(mask.shape, np.int32)
        seeds[tuple(feature.peak_local_max(depth, min_distance=5, labels=measure.label(mask)).T)] = 1
        return segmentation.watershed(-depth, measure.label(seeds), mask=mask)

    seconds, labels = cpu_of(run)
    return {"network": 0.0, "after": seconds, "objects": int(labels.max()), "note": "nuclei"}


def cellpose(field: dict[str, np.ndarray], resample: bool = False) -> Row:
    """Cellpose 3, fibres; with `resample`, its default, flows are followed at the field's own pixels."""
    import torch
    from cellpose import dynamics, models
    from cellpose.resnet_torch import CPnet
    from skimage.transform import resize

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        CPnet([2, 32, 64, 128, 256], 3, 3).save_model(f"{folder}/random")
        model = models.CellposeModel(gpu=False, pretrained_model=f"{folder}/random")
    network, _ = cpu_of(lambda: model.eval(field["rgb"], channels=[0, 0], diameter=FIBRE_PX, resample=resample, compute_masks=False))
    shape, rescale = field["fibres"].shape, model.diam_mean / FIBRE_PX
    seen = shape if resample else [round(n * rescale) for n in shape]
    labels = resize(field["fibres"], seen, order=0, preserve_range=True, anti_aliasing=False).astype(np.int32)
    flows = (5 * dynamics.masks_to_flows(labels)).astype(np.float32)
    inside = np.where(labels > 0, 6.0, -6.0).astype(np.float32)
    steps = 200 / rescale if resample else 200  # as `CellposeModel.eval` sets them
    after, masks = cpu_of(lambda: dynamics.resize_and_compute_masks(flows, inside, niter=steps, min_size=15, resize=shape))
    return {"network": network, "after": after, "objects": int(masks.max()), "note": f"fibres, flows {'' if resample else 'not '}resampled"}


def stardist(field: dict[str, np.ndarray]) -> Row:
    """StarDist in the configuration of its H&E model: nuclei."""
    from stardist.geometry import star_dist
    from stardist.models import Config2D, StarDist2D
    from stardist.utils import edt_prob

    config = Config2D(n_channel_in=3, grid=(2, 2), n_rays=32, unet_n_filter_base=32, unet_n_depth=3, net_conv_after_unet=128)
    model = StarDist2D(config, basedir=None)
    rgb = field["rgb"].astype(np.float32) / 255
    model.predict(rgb[:256, :256])
    network, _ = cpu_of(lambda: model.predict(rgb))
    probability = edt_prob(field["nuclei"])[::2, ::2]
    distances = star_dist(field["nuclei"], 32, grid=(2, 2))
    after, (labels, _) = cpu_of(
        lambda: model._instances_from_prediction(field["rgb"].shape[:2], probability, distances, prob_thresh=0.69, nms_thresh=0.3)
    )
    return {"network": network, "after": after, "objects": int(labels.max()), "note": "nuclei"}


PEERS: dict[str, Callable[[dict[str, np.ndarray]], Row]] = {
    "thresholds": thresholds,
    "cellpose": cellpose,
    "cellpose_default": functools.partial(cellpose, resample=True),
    "stardist": stardist,
}


def one(peer: str, field: Path, slide: Path) -> Row:
    """One of them, in this process, with its peak memory; a peer that is not here says so."""
    try:
        row = ours(slide, field) if peer == "ours" else PEERS[peer](dict(np.load(field)))
    except ImportError as error:
        return {"note": f"not installed: {error}"}
    return {**row, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def show(rows: dict[str, Row], mpx: float) -> None:
    """Print them as a table."""
    print("| | CPU s network | CPU s after it | Mpx/s on 2 cores, if both were free | times ours | peak MiB | objects | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    base = rows["ours"]["network"] + rows["ours"]["after"]
    for name, row in rows.items():
        if "after" not in row:
            print(f"| {name} | | | | | | | {row['note']} |")
            continue
        whole = row["network"] + row["after"]
        cells = f"{row['network']:.2f} | {row['after']:.2f} | {2 * mpx / whole:.2f} | {whole / base:.1f} | {row['peak_mib']:.0f}"
        print(f"| {name} | {cells} | {row['objects']:,} | {row['note']} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--python", nargs="+", default=[], metavar="PEER=PATH")
    parser.add_argument("--slide", type=Path, default=SLIDE)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # a peer and the field: one process each
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one[0], Path(options.one[1]), options.slide)))
        return
    pythons = dict(pair.split("=", 1) for pair in options.python)
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        field = Path(folder) / "field.npz"
        for peer in dict.fromkeys(("ours", *options.peers)):
            command = [pythons.get(peer, sys.executable), __file__, "--slide", str(options.slide), "--one", peer, str(field)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows[peer] = json.loads(done.stdout.splitlines()[-1])
        mpx = np.load(field)["rgb"][..., 0].size / 1e6
    show(rows, mpx)


if __name__ == "__main__":
    main()
