"""The networks: a small U-Net, loaded and run, and nothing of slides or tiles. The only module outside training that imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from torch import nn

from biopsy_analyzer.errors import ModelError, SlideError
from biopsy_analyzer.segment.memory import keep_freed_memory
from biopsy_analyzer.segment.model_folder import CHANNELS, check_card, default_folder, read_card, read_weights
from biopsy_analyzer.segment.precision import choose_precision


class Block(nn.Sequential):
    """3 x 3 convolution and ReLU, with BatchNorm between them while training; folded, the convolution carries it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, folded: bool) -> None:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=folded)
        super().__init__(convolution, *([] if folded else [nn.BatchNorm2d(outputs)]), nn.ReLU(inplace=True))


class UNet(nn.Module):
    """RGB 0..255 (B, 3, H, W) -> logits (B, outputs, H - 2 leave, W - 2 leave); H, W and `leave` multiples of `stride`.

    leave    px at each side of which no logits are wanted: a halo. Inside, from the bottom on, only what the rest rests on is computed,
             which gives the same logits and saves half of what a halo costs
    widths   channels at strides 2, 4, 8, ...: the first convolution halves the resolution, a pixel shuffle brings it back
    bottom   3 x 3 convolutions at the coarsest level
    folded   True for inference (BatchNorm inside the convolutions), False for training
    Skips are added, not concatenated: measured faster on CPUs at equal operations.
    """

    def __init__(self, widths: tuple[int, ...], bottom: int, outputs: int, *, folded: bool) -> None:
        super().__init__()
        self.widths, self.bottom, self.outputs = tuple(widths), bottom, outputs
        before = (3, *widths[:-1])
        depths = [1] * (len(widths) - 1) + [bottom]
        self.down = nn.ModuleList(
            nn.Sequential(Block(a, b, 2, folded=folded), *(Block(b, b, folded=folded) for _ in range(n)))
            for a, b, n in zip(before, widths, depths, strict=True)
        )
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Block(a, a, folded=folded) for a in widths[:-1])
        self.head = nn.Sequential(nn.Conv2d(widths[0], 4 * outputs, 3, padding=1), nn.PixelShuffle(2))

    @property
    def stride(self) -> int:
        """Edge in px of the coarsest level's pixels."""
        return 2 ** len(self.widths)

    def forward(self, rgb: torch.Tensor, leave: int = 0) -> torch.Tensor:
        x = (255 - rgb) / 128  # white is 0 like the convolutions' padding
        skips = []
        for stage in self.down[:-1]:
            x = stage(x)
            skips.append(x)
        first, *plain = self.down[-1].children()
        x, unwanted = first(x), leave // self.stride
        for still, block in zip(range(len(plain), 0, -1), plain, strict=True):
            x, unwanted = _shed(x, unwanted, still + 1)
            x = block(x)
        for level, skip in reversed(list(enumerate(skips))):
            x, unwanted = _shed(x, unwanted, 1)
            x = nn.functional.interpolate(self.narrow[level](x), scale_factor=2.0, mode="nearest")
            skip, unwanted = _shed(skip, leave // 2 ** (level + 1), 2 * unwanted)
            x = self.up[level](skip + x)
        x, unwanted = _shed(x, unwanted, 1)
        convolution, shuffle = self.head
        return shuffle(_shed(convolution(x), unwanted, 0)[0])


def _shed(x: torch.Tensor, unwanted: int, needed: int) -> tuple[torch.Tensor, int]:
    """`x` (B, C, H, W), of which `unwanted` px at each side are halo, with at most `needed` of them; and how many it has now."""
    shed = max(0, unwanted - needed)
    return (x[..., shed:-shed, shed:-shed] if shed else x), unwanted - shed


@dataclass
class Network:
    """A loaded network: numpy in, numpy out.

    precision  of the convolutions: "float32", "bfloat16" or (on CUDA) "float16"; weights are float32 in all of them
    notes      what had to be changed while running (less memory than wanted), for the result's warnings
    """

    name: str
    version: str
    kind: str
    um_per_px: float
    halo_px: int
    stride: int
    channels: tuple[str, ...]
    sha256: str
    device: str
    precision: str
    module: UNet
    notes: list[str] = field(default_factory=list)

    def maps(self, rgb: np.ndarray, leave: int = 0) -> np.ndarray:
        """RGB uint8 (B, H, W, 3), H and W multiples of `stride` -> float16 (B, C, H, W) in 0..1, channels as in `channels`.

        leave: px at each side whose maps are left out (a multiple of `stride`), which saves time. An empty batch gives an empty result.
        SlideError when the network puts out NaN or infinity. When memory runs out the batch is halved, then CUDA gives way to the CPU, and
        `notes` says so; MemoryError where the CPU has none for one tile.
        """
        if rgb.ndim != 4 or rgb.shape[3] != 3 or rgb.dtype != np.uint8 or any(n % self.stride for n in rgb.shape[1:3]):
            raise ValueError(f"{self.name} wants uint8 (B, H, W, 3), H and W multiples of {self.stride}, not {rgb.dtype} {rgb.shape}")
        if leave % self.stride or not 0 <= 2 * leave < min(rgb.shape[1:3]):
            raise ValueError(f"{self.name} can't leave out {leave} px at each side of {rgb.shape[1:3]}: wanted a multiple of {self.stride}")
        # had before the network takes what memory there is; untouched pages cost nothing
        out = np.empty((len(rgb), len(self.channels), *(n - 2 * leave for n in rgb.shape[1:3])), np.float16)
        start, size = 0, max(1, len(rgb))
        while start < len(rgb):
            try:
                found = self._run(rgb[start : start + size], leave)
            except RuntimeError as error:
                if not _ran_out_of_memory(error):
                    raise
                size = self._use_less_memory(size)
                continue
            if len(found) == len(rgb):
                return found
            out[start : start + size] = found
            start += size
        return out

    def _run(self, rgb: np.ndarray, leave: int) -> np.ndarray:
        dtype = getattr(torch, self.precision)
        with torch.inference_mode(), torch.autocast(self.device, dtype, enabled=dtype != torch.float32):
            pixels = self._on_device(rgb).permute(0, 3, 1, 2)  # channels last already
            # 0..255 are exact in each of them; each channel's pixels in a row, as the rest takes half the time then
            logits = self.module(pixels.to(dtype), leave).contiguous().float()
            if not bool(torch.isfinite(logits.sum())):  # NaN and infinity survive a sum, at a tenth of the cost
                raise SlideError(
                    f"network {self.name} {self.version} put out NaN or infinity on {self.device} in {self.precision}. "
                    "Try --device cpu; if that fails too, its weights are unusable: fetch the models again."
                )
            maps = torch.empty(logits.shape, dtype=torch.float16, device=logits.device)
            maps[:, :2], maps[:, 2:] = logits[:, :2].sigmoid(), logits[:, 2:].softmax(1)
            return maps.cpu().numpy()

    def _on_device(self, rgb: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(rgb))
        # from pinned memory the copy runs beside the GPU's work
        return pixels.pin_memory().to(self.device, non_blocking=True) if self.device == "cuda" else pixels

    def _use_less_memory(self, size: int) -> int:
        torch.cuda.empty_cache()
        if size > 1:
            self.notes.append(f"network {self.name}: {'CUDA' if self.device == 'cuda' else 'CPU'} memory ran out, batch {size} halved")
            return size // 2
        if self.device == "cpu":
            raise MemoryError(f"network {self.name}: none left for one tile")
        self.notes.append(f"network {self.name}: CUDA memory ran out for one tile, continued on the CPU")
        self.module.to("cpu")
        self.device, self.precision = "cpu", choose_precision("cpu")
        return 1


def _ran_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch got no memory: on CUDA its error has a class of its own, on a CPU (torch 2.6 to 2.13, oneDNN) only these words."""
    said = str(error)
    return isinstance(error, torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator" in said or "could not create a primitive" in said


@dataclass(frozen=True)
class Networks:
    """The two networks that an analysis needs."""

    fibres: Network
    nuclei: Network


def load_network(folder: Path, device: str = "auto", precision: str = "auto") -> Network:
    """Load `folder`/weights.safetensors as its card.json describes it.

    device: "cpu", "cuda", or "auto" (CUDA where there is one); precision: see `choose_precision`. ModelError, one line, when a file is
    missing, the weights' SHA-256 is not the card's (checked before they are parsed), they are no safetensors or do not fit the
    architecture, or the device is missing.
    """
    folder = Path(folder)
    device = choose_device(device)
    precision = choose_precision(device, precision)
    keep_freed_memory()
    card = read_card(folder)
    module = _build(folder, card)
    return Network(
        name=card["name"],
        version=card["version"],
        kind=card["kind"],
        um_per_px=float(card["um_per_px"]),
        halo_px=card["halo_px"],
        stride=card["stride"],
        channels=tuple(card["channels"]),
        sha256=card["sha256"],
        device=device,
        precision=precision,
        module=module.to(device).to(memory_format=torch.channels_last),  # type: ignore[call-overload]  # torch's stubs lack it
    )


def load_networks(folder: Path | None = None, device: str = "auto", precision: str = "auto") -> Networks:
    """The networks in `folder`/fibres and `folder`/nuclei; None: those packaged with, or in the checkout of, this version."""
    folder = default_folder() if folder is None else Path(folder)
    networks = {kind: load_network(folder / kind, device, precision) for kind in CHANNELS}
    for kind, network in networks.items():
        if network.kind != kind:
            raise ModelError(f"{folder / kind}: card.json is of kind {network.kind!r}, wanted {kind!r}")
    return Networks(**networks)


def choose_device(wanted: str) -> str:
    """The device for `wanted` "auto" (CUDA where there is one), "cpu" or "cuda"; ModelError for another word or missing CUDA."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise ModelError(f"device {wanted!r} is not known; choose auto, cpu or cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelError("device cuda was asked for, but torch finds no CUDA device; choose auto or cpu")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


@contextmanager
def a_core_for_others() -> Iterator[None]:
    """While it lasts torch leaves one core free, for reading and labelling beside it: threads that wait for a shared core waste both."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _build(folder: Path, card: dict) -> UNet:
    content = read_weights(folder, card["sha256"])
    try:
        weights = parse_weights(content)
    except SafetensorError as error:
        raise ModelError(f"{folder / 'weights.safetensors'}: not a safetensors file ({error})") from error
    try:
        module = UNet(tuple(card["architecture"]["widths"]), card["architecture"]["bottom"], len(card["channels"]), folded=True)
        module.load_state_dict(weights, strict=True)
        check_card(card, module.widths, module.bottom)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}: card.json fits neither its weights nor this version ({' '.join(str(error).split())[:200]})") from error
    return module.eval()
