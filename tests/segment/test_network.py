import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from biopsy_analyzer.errors import ModelError, SlideError
from biopsy_analyzer.segment.halo import halo_px, receptive_radius
from biopsy_analyzer.segment.model_folder import default_folder
from biopsy_analyzer.segment.network import UNet, load_network, load_networks
from biopsy_analyzer.segment.precision import choose_precision
from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS


def rgb(shape=(2, 64, 96, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def edit_card(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))


@pytest.mark.parametrize(("levels", "bottom"), [(2, 1), (3, 2), (3, 3), (4, 3)])
def test_receptive_radius_is_what_gradients_reach(levels, bottom):
    network = UNet((1,) * levels, bottom, 6, folded=True).double()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.1)  # all positive: nothing cancels, every path counts
    stride, radius = 2**levels, receptive_radius((1,) * levels, bottom)
    size = (2 * radius // stride + 4) * stride
    middle, reached = size // 2 // stride * stride, 0
    for phase in range(stride):
        image = torch.zeros(1, 3, size, size, dtype=torch.double, requires_grad=True)
        network(image)[0, 0, middle + phase, middle].backward()
        rows = torch.nonzero(image.grad[0].abs().sum((0, 2)))[:, 0]
        reached = max(reached, middle + phase - int(rows.min()), int(rows.max()) - middle - phase)
    assert reached == radius
    assert halo_px((1,) * levels, bottom) % stride == 0
    assert 0 <= halo_px((1,) * levels, bottom) - radius < stride


def test_pixels_beyond_the_halo_change_nothing(model_folder):
    network = load_network(model_folder / "fibres", "cpu")
    size = 2 * network.halo_px + network.stride
    image = rgb((1, size, size, 3))
    other = rgb((1, size, size, 3), seed=1)
    inside = np.s_[:, 2:-2, 2:-2]  # all within reach of the core of one stride, but its first two and last two rows
    core = np.s_[:, :, network.halo_px : -network.halo_px, network.halo_px : -network.halo_px]
    radius = receptive_radius((8, 12, 16), 1)
    assert network.halo_px - radius >= 2
    other[inside] = image[inside]
    assert np.array_equal(network.maps(image)[core], network.maps(other)[core])
    other[:, network.halo_px] = 0
    assert not np.array_equal(network.maps(image)[core], network.maps(other)[core])


def test_maps_are_probabilities(model_folder):
    networks = load_networks(model_folder, "cpu")
    maps = networks.fibres.maps(rgb())
    assert maps.dtype == np.float16
    assert maps.shape == (2, 6, 64, 96)
    assert maps.min() >= 0
    assert maps.max() <= 1
    np.testing.assert_allclose(maps[:, 2:].sum(1, dtype=np.float32), 1, atol=2e-3)
    assert networks.fibres.channels == ("fibre", "depth", *FIBRE_STATES)
    assert networks.nuclei.channels == ("nucleus", "depth", *NUCLEUS_KINDS)
    assert (networks.fibres.um_per_px, networks.nuclei.um_per_px) == (0.8, 0.5)
    assert networks.fibres.maps(rgb((0, 64, 64, 3))).shape == (0, 6, 64, 64)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_left_out_changes_nothing_of_the_rest(model_folder, precision):
    network = load_network(model_folder / "fibres", "cpu", precision)
    image = rgb((2, 160, 192, 3))
    for leave in (0, 8, 16, 24, 64):
        expected = network.maps(image)[:, :, leave : 160 - leave, leave : 192 - leave]
        inside = max(0, network.halo_px - leave)  # nearer to the picture's edge than the halo the zeros beyond it show
        found = network.maps(image, leave)
        assert found.shape == expected.shape
        clear = np.s_[:, :, inside : found.shape[2] - inside, inside : found.shape[3] - inside]
        np.testing.assert_allclose(found[clear], expected[clear], atol=2e-3 if precision == "bfloat16" else 1e-6)
    assert network.halo_px == 40


@pytest.mark.parametrize("leave", [4, -8, 32])
def test_more_than_there_is_or_off_the_stride_cannot_be_left_out(model_folder, leave):
    with pytest.raises(ValueError, match="can't leave out"):
        load_network(model_folder / "fibres", "cpu").maps(rgb((1, 64, 96, 3)), leave)


@pytest.mark.parametrize("image", [rgb((1, 60, 64, 3)), rgb((1, 64, 64, 4)), rgb((64, 64, 3)), rgb().astype(np.float16)])
def test_wrong_images_are_refused(model_folder, image):
    with pytest.raises(ValueError, match="wants uint8"):
        load_network(model_folder / "fibres", "cpu").maps(image)


@pytest.mark.fault(26)
def test_nan_is_refused(model_folder):
    network = load_network(model_folder / "fibres", "cpu")
    with torch.no_grad():
        network.module.head[0].bias[0] = float("nan")
    with pytest.raises(SlideError, match="NaN"):
        network.maps(rgb())


STARVED = """
import resource, sys
from pathlib import Path
import numpy as np
from biopsy_analyzer.segment.network import load_network

network = load_network(Path(sys.argv[1]), "cpu", "float32")
count, edge = int(sys.argv[3]), int(sys.argv[4])
images = np.random.default_rng(0).integers(0, 256, (count, edge, edge, 3), np.uint8)
one_by_one = np.concatenate([network.maps(image[None, :512, :512]) for image in images])
here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + int(sys.argv[2]) * 2**20, resource.RLIM_INFINITY))
found = network.maps(images)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
np.testing.assert_allclose(found, one_by_one, atol=1e-3)
print(*network.notes, sep="\\n")
"""


@pytest.mark.fault(25)
@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux keeps them")
def test_a_machine_without_memory_gets_smaller_batches_and_then_an_error(model_folder):
    """A real limit on the process's memory: torch's own allocator fails, in the middle of the network."""

    def starved(*numbers):
        command = [sys.executable, "-c", STARVED, str(model_folder / "fibres"), *map(str, numbers)]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"MALLOC_ARENA_MAX": "1"})

    some = starved(90, 8, 512)
    assert some.stderr == ""
    assert some.stdout.splitlines()[0] == "network fibres: CPU memory ran out, batch 8 halved"
    assert "MemoryError" in starved(0, 1, 4096).stderr  # far more than what smaller tiles have left


@pytest.mark.fault(25)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("mib", [250, 0])
def test_a_gpu_without_memory_gets_smaller_batches_and_then_gives_way(model_folder, mib):
    """A real limit on the GPU's memory: CUDA's allocator fails; with some left the batch is halved, with none the CPU takes over."""
    network = load_network(model_folder / "fibres", "cuda")
    images = rgb((64, 512, 512, 3))
    expected = np.concatenate([network.maps(images[:2]), network.maps(images[-2:])])
    torch.cuda.empty_cache()
    held, whole = torch.cuda.memory_reserved(), torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((held + mib * 2**20) / whole)
    try:
        found = network.maps(images)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    np.testing.assert_allclose(np.concatenate([found[:2], found[-2:]]), expected, atol=0.02)
    assert network.notes[0] == "network fibres: CUDA memory ran out, batch 64 halved"
    assert (network.device == "cpu") == (mib == 0)


@pytest.mark.fault(25)
def test_the_steps_to_less_memory(model_folder):
    """The order of the steps where no GPU is there to show it: a stand-in for the device refuses, what is done then is real."""
    network = load_network(model_folder / "fibres", "cpu")
    images = rgb((4, 32, 32, 3))
    expected = network.maps(images)
    module, refused = network.module, []

    class Full(torch.nn.Module):
        """Stands for a device without memory, until the network has been moved."""

        def forward(self, batch, leave):
            if len(refused) < 3:
                refused.append(len(batch))
                network.device = "cuda" if len(refused) == 3 else "cpu"
                raise torch.cuda.OutOfMemoryError
            return module(batch, leave)

    network.module = Full()
    network.precision = "float32"
    np.testing.assert_allclose(network.maps(images), expected, atol=0.02)
    assert refused == [4, 2, 1]
    assert network.device == "cpu"
    assert network.precision in ("float32", "bfloat16")
    assert network.notes[-1] == "network fibres: CUDA memory ran out for one tile, continued on the CPU"


def test_precisions(model_folder, monkeypatch):
    exact = load_network(model_folder / "fibres", "cpu", "float32")
    assert exact.precision == "float32"
    half = load_network(model_folder / "fibres", "cpu", "bfloat16")
    image = rgb()
    np.testing.assert_allclose(half.maps(image), exact.maps(image), atol=0.02)
    assert not np.array_equal(half.maps(image), exact.maps(image))
    for flags, chosen in (("avx512_bf16", "bfloat16"), ("avx2", "float32")):
        monkeypatch.setattr(Path, "read_text", lambda *args, flags=flags, **options: f"flags : sse {flags}")
        assert choose_precision("cpu") == chosen
    assert choose_precision("cuda") == "float16"
    with pytest.raises(ModelError, match="choose auto, float32, bfloat16"):
        choose_precision("cpu", "int8")


def test_missing_folder(tmp_path):
    with pytest.raises(ModelError, match=r"card\.json: no readable model card"):
        load_network(tmp_path / "nowhere", "cpu")


@pytest.mark.fault(27)
def test_missing_weights(model_folder):
    (model_folder / "fibres" / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="can't be read"):
        load_network(model_folder / "fibres", "cpu")


@pytest.mark.fault(27)
def test_changed_weights(model_folder):
    path = model_folder / "fibres" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="SHA-256"):
        load_network(model_folder / "fibres", "cpu")


@pytest.mark.fault(27)
def test_pickle_is_never_read(model_folder):
    content = pickle.dumps({"weight": 1})
    (model_folder / "fibres" / "weights.safetensors").write_bytes(content)
    edit_card(model_folder / "fibres", sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_network(model_folder / "fibres", "cpu")


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": {"widths": [8, 12, 20], "bottom": 1}},
        {"architecture": {"widths": [8, 12, 16], "bottom": 2}},
        {"architecture": {"bottom": 1}},
        {"architecture": None},
        {"channels": ["nucleus", "depth", *NUCLEUS_KINDS]},
        {"kind": "vessels"},
        {"halo_px": 8},
        {"halo_px": "wide"},
        {"halo_px": 16.0},
        {"version": 1},
        {"name": None},
        {"stride": 16},
        {"um_per_px": 0},
    ],
)
def test_card_that_does_not_fit(model_folder, changes):
    edit_card(model_folder / "fibres", **changes)
    with pytest.raises(ModelError, match="fits neither") as caught:
        load_network(model_folder / "fibres", "cpu")
    assert "\n" not in str(caught.value)


def test_card_without_what_is_needed(model_folder):
    (model_folder / "fibres" / "card.json").write_text("{}")
    with pytest.raises(ModelError, match="lacks name, version"):
        load_network(model_folder / "fibres", "cpu")


def test_kinds_may_not_be_swapped(model_folder):
    (model_folder / "fibres").rename(model_folder / "kept")
    (model_folder / "nuclei").rename(model_folder / "fibres")
    (model_folder / "kept").rename(model_folder / "nuclei")
    with pytest.raises(ModelError, match="of kind 'nuclei', wanted 'fibres'"):
        load_networks(model_folder, "cpu")


@pytest.mark.fault(25)
def test_devices(model_folder):
    with pytest.raises(ModelError, match="not known"):
        load_network(model_folder / "fibres", "abacus")
    if not torch.cuda.is_available():
        assert load_network(model_folder / "fibres", "auto").device == "cpu"
        with pytest.raises(ModelError, match="no CUDA device"):
            load_network(model_folder / "fibres", "cuda")


def test_default_folder_is_named_models():
    assert default_folder().name == "models"
