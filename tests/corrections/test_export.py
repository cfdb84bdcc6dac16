"""The corrected folder is a result of its own, and the machine's stays as it is."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.corrections import Corrections
from biopsy_analyzer.corrections.export import export
from biopsy_analyzer.report.labels import read_labels
from biopsy_analyzer.report.saved import read_saved
from biopsy_analyzer.report.scores_json import ScoresDocument
from painted_result import centre, fibre_at, hashes


def test_tables_scores_outlines_and_labels_agree(folder):
    machine = hashes(folder)
    corrections = Corrections.open(folder, who="Ana")
    corrections.split(fibre_at(corrections, 40), centre(40) + np.array([[-40.0, 4], [40, 4]]))
    corrections.delete("fibres", [fibre_at(corrections, 0)])
    corrections.set_state([fibre_at(corrections, 1)], "necrotic")
    corrections.delete("nuclei", [3])
    corrections.undo()
    assert export(corrections) == folder / "corrected"
    written = export(corrections)  # again, over the first
    saved = read_saved(written)
    pd.testing.assert_frame_equal(saved.fibres, corrections.fibres)
    pd.testing.assert_frame_equal(saved.nuclei, corrections.nuclei)
    pd.testing.assert_frame_equal(saved.clusters, corrections.clusters)
    document = ScoresDocument.model_validate(saved.document)
    assert document.fibres == corrections.scores().fibres
    assert document.corrections.kinds == {"delete": 1, "split": 1, "state": 1}
    assert (document.corrections.by, document.corrections.unmeasured_fibres) == (["Ana"], 2)
    assert document.slide.sha256 == corrections.saved.document["slide"]["sha256"]
    features = json.loads((written / "objects.geojson").read_text())["features"]
    fibres = {f["properties"]["name"]: f for f in features if f["properties"]["name"].startswith("Fibre")}
    assert len(fibres) == len(saved.fibres) == 81
    for row in saved.fibres.itertuples():
        feature = fibres[f"Fibre {row.fibre_id}"]
        area = cv2.contourArea(np.array(feature["geometry"]["coordinates"][0], np.float32)) * 0.5**2
        np.testing.assert_allclose(area, row.area_um2, rtol=0.01)
        assert feature["properties"]["classification"]["name"] == f"Fibre: {row.state}"
    clusters = [f for f in features if f["properties"]["name"].startswith("Cluster")]
    assert len(clusters) == len(saved.clusters)
    evidence = pd.read_parquet(written / "evidence.parquet")
    many = evidence.loc[evidence["item"] == "necrotic-fibres", "object_id"]
    sick = saved.fibres["assessable"] & saved.fibres["state"].isin(("necrotic", "pale-fragmented"))
    assert sorted(many) == sorted(saved.fibres.loc[sick, "fibre_id"])
    assert "orrected by hand" in (written / "report.html").read_text(encoding="utf-8")
    labels = read_labels(written)
    np.testing.assert_array_equal(labels.fibres.pixels[:], np.asarray(corrections.labels["fibres"].pixels))
    for edited, level in zip(corrections.labels["fibres"].levels, labels.fibres.levels, strict=True):  # a pyramid of what was edited
        np.testing.assert_array_equal(np.asarray(edited), level[:])
    assert {name: content for name, content in hashes(folder).items() if not name.startswith("corrected/")} == machine


def test_a_corrected_result_without_edits_is_the_machines(folder):
    corrections = Corrections.open(folder)
    document = read_saved(export(corrections)).document
    assert document.pop("corrections")["edits"] == 0
    machine = corrections.saved.document
    assert document == {name: value for name, value in machine.items() if name != "corrections"}
    one, other = (json.loads((place / "objects.geojson").read_text()) for place in (folder, folder / "corrected"))
    assert [f["id"] for f in one["features"]] == [f["id"] for f in other["features"]]
    for mine, theirs in zip(one["features"], other["features"], strict=True):
        np.testing.assert_allclose(mine["geometry"]["coordinates"][0], theirs["geometry"]["coordinates"][0], atol=0.02)
