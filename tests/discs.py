"""A bank that is learned in seconds: discs on glass, their class in their colour."""

import numpy as np


def write_discs(folder, patches=12, size=96, seed=0, drawn=True):
    """Write a bank of discs; fibres and nuclei are the same discs, so that either kind can be trained on it."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:size, :size]
    labels = np.zeros((patches, size, size), np.uint16)
    codes = np.zeros((patches, size, size), np.uint8)
    concentrations = np.zeros((patches, 3, size, size), np.uint8)
    for patch in range(patches):
        for label in range(1, 8):
            y, x = rng.uniform(0, size, 2)
            disc = (rows - y) ** 2 + (columns - x) ** 2 < rng.uniform(8, 18) ** 2
            code = rng.integers(1, 5)
            labels[patch][disc], codes[patch][disc] = label, code
            concentrations[patch, 1][disc], concentrations[patch, 0][disc] = 60, 20 * (code - 1)
    arrays = {"fibres": labels, "nuclei": labels, "states": codes, "kinds": codes, "ignore": np.zeros(labels.shape, bool)}
    if drawn:
        arrays["concentrations"] = concentrations
    else:
        od = np.tensordot(concentrations / 80, [[0.64, 0.72, 0.27], [0.09, 0.95, 0.28], [0.2, 0.7, 0.6]], (1, 0))
        arrays["rgb"] = (255 * 10**-od).astype(np.uint8)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder
