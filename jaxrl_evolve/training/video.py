"""Frames as a file: an animated GIF, or an mp4 where there is an encoder; several pictures as one."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Film(NamedTuple):
    """Frames that are drawn when they are asked for, since all at once would fill the memory.

    Attributes:
        frame: ``number -> uint8 [H, W, 3]``, the same size for all.
        count: how many there are, at least one.
    """

    frame: Callable[[int], np.ndarray]
    count: int


MOST_PER_SECOND = {".gif": 50, ".mp4": 120}
"""Frames per second by format; viewers of GIFs show no more."""

_SHOWN_LAST = 1.0  # seconds


def check_format(path: Path, fps: int) -> None:
    """Refuse what `write` could not write.

    Raises:
        ValueError: the suffix or the frame rate is not allowed.
        ImportError: an mp4 was asked for and there is no encoder.
    """
    suffix = path.suffix.lower()
    if suffix not in MOST_PER_SECOND:
        raise ValueError(f"out is {str(path)!r}; it must end in {' or '.join(MOST_PER_SECOND)}")
    most = MOST_PER_SECOND[suffix]
    if not 1 <= fps <= most:
        raise ValueError(f"fps is {fps}; in a {suffix} it must lie between 1 and {most}")
    if suffix == ".mp4":
        find_ffmpeg()


def find_ffmpeg() -> str:
    """The program that encodes: that of the package imageio-ffmpeg, or the system's.

    Raises:
        ImportError: there is none.
    """
    with contextlib.suppress(ImportError, RuntimeError):
        import imageio_ffmpeg  # pyright: ignore[reportMissingImports]

        return imageio_ffmpeg.get_ffmpeg_exe()
    if found := shutil.which("ffmpeg"):
        return found
    raise ImportError(
        "an mp4 needs ffmpeg, which is not there: install it, or pip install 'jaxrl_evolve[video]'; a .gif needs nothing"
    )


def write(film: Film, path: Path, fps: int) -> None:
    """Write a film, whole or not at all; its last frame is shown for a second.

    Args:
        film: its frames.
        path: its suffix is the format, see `check_format`.
        fps: frames per second; GIF counts hundredths of a second, so it is rounded to what that allows.

    Raises:
        OSError: the file cannot be written, or the encoder fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        (_write_mp4 if path.suffix.lower() == ".mp4" else _write_gif)(film, temporary, fps)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def grid(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one size as one, row by row, about as many rows as columns; the places of a row that are left are grey.

    Args:
        pictures: each ``uint8 [H, W, 3]``.
    """
    if len(pictures) == 1:
        return pictures[0]
    columns = math.ceil(math.sqrt(len(pictures)))
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // columns)
    gap = 2
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 128, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        whole[top : top + height, left : left + width] = picture
    return whole


def _write_gif(film: Film, path: Path, fps: int) -> None:
    from PIL import Image

    # One palette for all frames, of the whole episode's colours: no flicker, and smaller files.
    few = range(0, film.count, max(1, film.count // 16))
    sample = np.concatenate([film.frame(i) for i in few])
    palette = Image.fromarray(sample).quantize(256, method=Image.Quantize.MEDIANCUT)

    def images() -> Iterator[Any]:
        for i in range(film.count):
            yield Image.fromarray(film.frame(i)).quantize(palette=palette, dither=Image.Dither.NONE)

    drawn = images()
    durations = [1000 / fps] * (film.count - 1) + [1000 * _SHOWN_LAST]
    with path.open("wb") as file:
        next(drawn).save(
            file,
            format="GIF",
            save_all=True,
            append_images=drawn,
            duration=[round(x / 10) * 10 for x in durations],
            loop=0,
        )


def _write_mp4(film: Film, path: Path, fps: int) -> None:
    height, width, _ = film.frame(0).shape
    command = [find_ffmpeg(), "-y", "-loglevel", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    # What every player shows: H.264 with colours at half the resolution, whose sides must be even.
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    command += ["-movflags", "+faststart", "-f", "mp4", str(path)]
    with tempfile.TemporaryFile() as said:
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said)
        assert encoder.stdin is not None
        last = itertools.repeat(film.count - 1, round(fps * _SHOWN_LAST) - 1)
        with contextlib.suppress(BrokenPipeError):  # it ended early, and has said why
            for i in itertools.chain(range(film.count), last):
                encoder.stdin.write(np.ascontiguousarray(film.frame(i)).tobytes())
        with contextlib.suppress(BrokenPipeError):
            encoder.stdin.close()
        if encoder.wait() != 0:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or ["it does not say why"]
            raise OSError(f"ffmpeg could not write the video: {lines[-1]}")
