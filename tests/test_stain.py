import numpy as np
import pytest

from biopsy_analyzer.stain import RUIFROK, estimate_vectors, optical_density, separate


def painted(vectors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB with known amounts of two stains: a third haematoxylin alone, a third eosin alone, the rest mixed."""
    rng = np.random.default_rng(seed)
    h, e = rng.uniform(0.2, 0.8, (2, 90, 60)).astype(np.float32)
    h[:30], e[30:60] = 0, 0
    od = h[..., None] * vectors[0] + e[..., None] * vectors[1]
    return np.clip(np.rint(256 * 10.0**-od - 1), 0, 255).astype(np.uint8), h, e


def test_optical_density_of_known_pixels() -> None:
    od = optical_density(np.array([[255, 0, 127]], np.uint8))
    assert od.dtype == np.float32
    np.testing.assert_allclose(od[0], [0, np.log10(256), np.log10(2)], atol=1e-6)


def test_white_holds_no_stain() -> None:
    h, e = separate(np.full((4, 5, 3), 255, np.uint8))
    assert h.shape == e.shape == (4, 5)
    assert h.max() == e.max() == 0


def test_amounts_come_back() -> None:
    rgb, h, e = painted(RUIFROK)
    found_h, found_e = separate(rgb)
    np.testing.assert_allclose(found_h, h, atol=0.02)
    np.testing.assert_allclose(found_e, e, atol=0.02)


def test_parallel_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="parallel"):
        separate(np.zeros((2, 2, 3), np.uint8), np.array([[1, 1, 0], [2, 2, 0]]))


def test_unknown_vectors_are_found() -> None:
    truth = np.array([[0.55, 0.79, 0.27], [0.17, 0.88, 0.45]])
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    rgb, _, _ = painted(truth)
    found = estimate_vectors(rgb, np.ones(rgb.shape[:2], bool))
    np.testing.assert_allclose(found, truth, atol=0.03)
    turned = estimate_vectors(rgb[::-1, ::-1], np.ones(rgb.shape[:2], bool))
    np.testing.assert_allclose(found, turned, atol=1e-9)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (150, 150, 150), (200, 90, 150)])
def test_defaults_where_two_stains_cannot_be_told(colour: tuple[int, int, int]) -> None:
    rgb = np.full((60, 60, 3), colour, np.uint8)
    np.testing.assert_array_equal(estimate_vectors(rgb, np.ones((60, 60), bool)), RUIFROK)
    np.testing.assert_array_equal(estimate_vectors(rgb, np.zeros((60, 60), bool)), RUIFROK)
