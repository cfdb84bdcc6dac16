import pytest
import torch

from biopsy_analyzer.training.losses import Batch, agreement, class_weights, losses


def one_batch():
    foreground = torch.zeros(1, 8, 8)
    foreground[:, 2:6, 2:6] = 1
    classes = (foreground * 2).long()
    return Batch(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), foreground, foreground * 1.0, classes, torch.ones(1, 8, 8))


def sure_logits(batch, sure=20.0):
    logits = torch.full((1, 6, 8, 8), -sure)
    logits[:, 0] = logits[:, 1] = (batch.foreground * 2 - 1) * sure
    logits[:, 3] = sure
    return logits


def test_right_answers_cost_nothing():
    batch = one_batch()
    parts = losses(sure_logits(batch), batch, torch.ones(4))
    assert all(float(value) < 1e-3 for value in parts.values())
    assert float(losses(-sure_logits(batch), batch, torch.ones(4))["total"]) > 10


def test_void_pixels_and_unknown_classes_cost_nothing():
    batch = one_batch()
    wrong = sure_logits(batch)
    wrong[:, :, 0] = 50
    batch.weight[:, 0] = 0
    assert float(losses(wrong, batch, torch.ones(4))["total"]) < 1e-3
    batch.classes[...] = 0
    assert float(losses(-sure_logits(batch), batch, torch.ones(4))["class"]) == 0


def test_class_weights_by_hand():
    assert class_weights(torch.tensor([1600.0, 400, 100, 1])).tolist() == pytest.approx([1, 2, 4, 5])
    assert class_weights(torch.tensor([100.0, 0, 25, 0])).tolist() == pytest.approx([1, 1, 2, 1])
    assert class_weights(torch.zeros(4)).tolist() == [1, 1, 1, 1]


def test_agreement_counts_by_hand():
    batch = one_batch()
    found = agreement(sure_logits(batch), batch)
    assert (int(found["overlap"]), int(found["sizes"])) == (16, 32)
    assert found["hits"].tolist() == found["members"].tolist() == [0, 16, 0, 0]
    assert float(found["depth_error"]) == pytest.approx(0, abs=1e-4)
