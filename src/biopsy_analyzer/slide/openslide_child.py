"""The other end of `openslide_reader`: a process of its own that opens one slide by OpenSlide and sends pixels. Run, never imported.

It lives as a script without the package around it, so that it starts quickly: only OpenSlide and Pillow are imported. What it may use of
memory is limited, since OpenSlide ends the process on some damaged files, and decodes a few megabytes to gigabytes on others.

    python openslide_child.py SLIDE MEMORY_BYTES      replies on stdout: struct "<cq", then that many bytes
        J  JSON, once at the start: what is known of the slide, from a list of allowed properties (others may name the patient)
    each request on stdin: struct "<5q" of level, x and y in level-0 px, width, height
        P  RGB pixels, white where OpenSlide has none       W  nothing is stored here
        B  this region can't be decoded (the slide was opened again: one bad tile spoils all later reads of a handle)
    E  instead of J: what OpenSlide says of a slide that it can't open
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import sys
from typing import BinaryIO

import openslide
from PIL import Image

REPLY, REQUEST = struct.Struct("<cq"), struct.Struct("<5q")
CACHE_BYTES = 64 * 2**20  # prior: stored tiles of MIRAX and BIF overlap, so that neighbouring reads share them


def main() -> None:
    """Serves one slide until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business; this ends when stdin does
    path, memory = sys.argv[1], int(sys.argv[2])
    limit_memory(memory)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # libraries that print must not print into the pixels
    try:
        slide = opened(path)
    except Exception as error:  # whatever it is, the parent says it
        reply(out, b"E", type(error).__name__.encode())
        return
    reply(out, b"J", json.dumps(facts(slide)).encode())
    while request := sys.stdin.buffer.read(REQUEST.size):
        level, x, y, width, height = REQUEST.unpack(request)
        try:
            region = slide.read_region((x, y), level, (width, height))
        except (openslide.OpenSlideError, MemoryError):
            slide.close()
            slide = opened(path)
            reply(out, b"B", b"")
            continue
        opacity, pixels = region.getchannel("A").histogram(), region.width * region.height
        if opacity[0] == pixels:
            reply(out, b"W", b"")
            continue
        if opacity[255] < pixels:
            region = Image.alpha_composite(Image.new("RGBA", region.size, "white"), region)
        reply(out, b"P", region.tobytes("raw", "RGB"))  # 20 times as fast as convert("RGB")


def limit_memory(memory: int) -> None:
    """An address-space limit where the system has one; without it (Windows) a bomb costs memory, still not the parent."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def opened(path: str) -> openslide.OpenSlide:
    """The slide, with a small cache."""
    slide = openslide.OpenSlide(path)
    slide.set_cache(openslide.OpenSlideCache(CACHE_BYTES))
    return slide


def facts(slide: openslide.OpenSlide) -> dict[str, object]:
    """Levels, tiles, pixel size, bounds and the digest of the colour profile; associated images are never touched."""
    properties = slide.properties
    profile = slide.color_profile
    return {
        "vendor": properties.get("openslide.vendor", ""),
        "levels": slide.level_dimensions,
        "downsamples": slide.level_downsamples,
        "tiles": [
            [properties.get(f"openslide.level[{n}].tile-{side}", "") for side in ("height", "width")] for n in range(slide.level_count)
        ],
        "mpp": [properties.get("openslide.mpp-y", ""), properties.get("openslide.mpp-x", "")],
        "bounds": [properties.get(f"openslide.bounds-{side}", "") for side in ("y", "x", "height", "width")],
        "magnification": properties.get("aperio.AppMag", ""),
        "icc_sha256": hashlib.sha256(profile.tobytes()).hexdigest() if profile else None,
        "version": openslide.__library_version__,
    }


def reply(out: BinaryIO, kind: bytes, body: bytes) -> None:
    """One reply, however many writes the pipe needs."""
    rest = memoryview(REPLY.pack(kind, len(body)) + body)
    while rest:
        rest = rest[out.write(rest) :]


if __name__ == "__main__":
    main()
