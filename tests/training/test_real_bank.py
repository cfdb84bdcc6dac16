"""Banks of real images: of annotated squares with known answers, and of nucleus images of unknown magnification."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation_files import feature, square, write
from biopsy_analyzer.errors import UsageError
from biopsy_analyzer.training.real_bank import PATCH_PX, annotated_patches, dsb_patches, pack, write_real_bank
from biopsy_analyzer.training.truth import annotated_truth


def test_bank_of_an_annotated_image(annotated: Path, tmp_path: Path) -> None:
    rgb = np.full((20, 30, 3), (200, 100, 150), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    held_out = write(tmp_path / "b.geojson", [square("Region: annotated", 0, 0, 20, 20)], held_out=True)
    assert write_real_bank(annotated_patches([annotated, held_out], tmp_path), tmp_path / "bank") == 1
    bank = {path.stem: np.load(path) for path in (tmp_path / "bank").glob("*.npy")}
    assert {key: (value.dtype.name, value.shape[1:3]) for key, value in bank.items()} == {
        key: (dtype, (PATCH_PX, PATCH_PX))
        for key, dtype in dict(rgb="uint8", fibres="uint16", states="uint8", nuclei="uint16", kinds="uint8", ignore="bool").items()
    }
    assert bank["rgb"][0, 5, 5].tolist() == [200, 100, 150]
    assert bank["rgb"][0, 100, 100].tolist() == [255, 255, 255]
    assert bank["states"][0, 5, [0, 4, 10, 25]].tolist() == [0, 2, 255, 1]
    assert bank["kinds"][0, 5, [4, 20]].tolist() == [1, 255]
    assert bank["nuclei"][0, 15, 12] == 2
    assert (~bank["ignore"][0]).sum() == 20 * 14 + 6 * 2


def test_outlined_nuclei_teach_where_there_is_none(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 30, 3), 200, np.uint8))
    features = [
        square("Region: annotated", 0, 0, 20, 20),
        square("Region: unsure", 10, 0, 20, 6),
        square("Nucleus: lymphocyte", 2, 3, 8, 9),
        square("Nucleus: unknown", 7, 3, 13, 9),  # one column over the first, three in the unsure region
    ]
    path = write(tmp_path / "a.geojson", features)
    write_real_bank(annotated_patches([path], tmp_path), tmp_path / "bank")
    nuclei, kinds, ignore = (np.load(tmp_path / "bank" / f"{key}.npy")[0] for key in ("nuclei", "kinds", "ignore"))
    wanted = np.zeros((20, 30), int)
    wanted[3:9, 2:8], wanted[3:9, 8:13] = 1, 2
    np.testing.assert_array_equal(nuclei[:20, :30], wanted)
    np.testing.assert_array_equal(kinds[:20, :30], np.array([0, 3, 255])[wanted])
    assert (~ignore).sum() == 20 * 20 - (10 * 6 - 3 * 3)  # the outlined columns of the unsure region are truth
    truth = annotated_truth(path, tmp_path)
    assert truth.fibres is None
    np.testing.assert_array_equal(truth.nuclei, wanted)
    assert truth.nucleus_type == ["", "lymphocyte", ""]


def test_what_qupath_exports_becomes_patches(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "case.png"), np.full((20, 30, 3), 200, np.uint8))
    (tmp_path / "case.json").write_text('{"um_per_px": 0.5}')
    drawing, path = {"features": [square("Fibre: normal", 2, 3, 8, 9)]}, tmp_path / "case.geojson"
    path.write_text(json.dumps(drawing))
    for images in (tmp_path / "images", tmp_path / "images" / "case.png"):
        (patch,) = annotated_patches([path], images)
        assert (patch["fibres"] > 0).sum() == 36
        assert (~patch["ignore"]).sum() == 20 * 30
    path.write_text(json.dumps({"features": [feature("Nucleus", {"type": "Point", "coordinates": [4, 4]})]}))
    assert list(annotated_patches([path], tmp_path / "images")) == []  # which doesn't say that there is no fibre


def test_a_bank_without_patches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no patches"):
        write_real_bank([], tmp_path)


def test_nucleus_images_are_brought_to_one_size_and_split(tmp_path: Path) -> None:
    labels = np.zeros((60, 80), np.uint16)
    cv2.circle(labels, (20, 20), 9, 1, -1)
    cv2.circle(labels, (55, 35), 9, 2, -1)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for number in range(10):
        cv2.imwrite(str(tmp_path / "labels" / f"{number}.png"), labels)
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((60, 80, 3), 10 * number, np.uint8))
    train, kept = list(dsb_patches(tmp_path)), list(dsb_patches(tmp_path, held_out=True))
    assert (len(train), len(kept)) == (8, 2)
    assert {int(patch["rgb"][5, 5, 0]) for patch in train + kept} == set(range(0, 100, 10))
    areas = np.bincount(train[0]["nuclei"].ravel())[1:]
    np.testing.assert_allclose(np.sqrt(4 / np.pi * areas) * 0.5, 7.5, rtol=0.03)
    assert set(np.unique(train[0]["kinds"])) == {0, 255}
    packed = list(pack(train))
    assert len(packed) == 1
    assert packed[0]["nuclei"].max() == 2 * 8
    assert np.bincount(packed[0]["nuclei"].ravel())[1:].tolist() == areas.tolist() * 8
    assert (~packed[0]["ignore"]).sum() == 8 * (~train[0]["ignore"]).sum()
    assert {int(value) for value in np.unique(packed[0]["rgb"])} >= {int(patch["rgb"][5, 5, 0]) for patch in train}
    assert list(pack([])) == []
    rows = np.flatnonzero(~train[0]["ignore"].all(axis=1))
    assert rows[-1] + 1 == len(rows) == pytest.approx(60 * np.sqrt(areas.mean() / (labels == 1).sum()), abs=1)
