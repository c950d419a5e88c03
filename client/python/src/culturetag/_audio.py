"""What callers may pass as audio, brought into the forms of the contract."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from culturetag.v1 import tagging_pb2 as pb

CHUNK_BYTES = 1 << 18
"""The most that one message of a stream carries. A live source is read in what it has, not in full chunks."""

Samples: TypeAlias = NDArray[Any]
"""`[N]` or `[N, C]`: int16, or floats nominally in [-1, 1]."""

ClipInput: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Samples
"""A path, a file's bytes, or samples."""

Chunk: TypeAlias = bytes | bytearray | memoryview | Samples


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """The form of bytes that are samples without a header, as `ffmpeg -f s16le` and `arecord -t raw` write them."""

    encoding: Literal["s16le", "f32le"]
    sample_rate: int
    """Frames a second, 4000 to 384000."""
    channels: int = 1
    """Interleaved, 1 to 32."""

    def to_proto(self) -> pb.PcmFormat:
        if self.encoding not in _ENCODINGS:
            raise ValueError(f"encoding {self.encoding!r} is none of {', '.join(_ENCODINGS)}")
        return pb.PcmFormat(
            encoding=_ENCODINGS[self.encoding], sample_rate_hz=self.sample_rate, channel_count=self.channels
        )


_ENCODINGS = {"s16le": pb.ENCODING_S16LE, "f32le": pb.ENCODING_F32LE}


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio of known size: a file on disk, a file's bytes, or samples."""

    content: Path | memoryview
    pcm: PcmFormat | None = None
    """The form of samples; None: an encoded file."""

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else self.content.nbytes

    def to_proto(self) -> pb.Audio:
        """Reads a file on disk. Raises OSError."""
        data = self.content.read_bytes() if isinstance(self.content, Path) else bytes(self.content)
        if self.pcm is None:
            return pb.Audio(encoded=data)
        form = self.pcm.to_proto()
        return pb.Audio(
            pcm=pb.Pcm(
                encoding=form.encoding,
                sample_rate_hz=form.sample_rate_hz,
                channel_count=form.channel_count,
                samples=data,
            )
        )

    def chunks(self) -> Iterator[bytes]:
        """The content in order; holds one chunk at a time of a file on disk. Raises OSError."""
        if isinstance(self.content, Path):
            with self.content.open("rb") as file:
                yield from read_chunks(file)
        else:
            yield from split(self.content)


def open_clip(audio: ClipInput, sample_rate: int | None) -> Clip:
    """Checks what can be checked without a server.

    Raises:
        TypeError: `audio` is of no type or dtype that can be sent.
        ValueError: `sample_rate` is missing for samples, or given for what has a header; samples of a wrong shape.
        OSError: There is no such file.
    """
    if isinstance(audio, np.ndarray):
        data, pcm = pcm_of(audio, sample_rate)
        return Clip(data, pcm)
    if sample_rate is not None:
        raise ValueError("sample_rate goes with samples; a file's header gives its own")
    if isinstance(audio, bytes | bytearray | memoryview):
        return Clip(memoryview(audio).cast("B"))
    if isinstance(audio, str | os.PathLike):
        path = Path(audio)
        path.stat()
        return Clip(path)
    raise TypeError(f"audio is a path, a file's bytes or a numpy array, not {type(audio).__name__}")


def pcm_of(samples: Samples, sample_rate: int | None) -> tuple[memoryview, PcmFormat]:
    """Samples as little-endian bytes, interleaved; not copied where they are that already. Raises as `open_clip`."""
    if sample_rate is None:
        raise ValueError("samples need their sample_rate, in Hz")
    if samples.ndim not in (1, 2):
        raise ValueError(f"samples are [N] or [N, C], not of shape {list(samples.shape)}")
    encoding: Literal["s16le", "f32le"]
    if np.issubdtype(samples.dtype, np.int16):
        encoding, dtype = "s16le", "<i2"
    elif np.issubdtype(samples.dtype, np.floating):
        encoding, dtype = "f32le", "<f4"
    else:
        raise TypeError(f"samples are int16 or floats in [-1, 1], not {samples.dtype}")
    channels = samples.shape[1] if samples.ndim == 2 else 1
    data = np.ascontiguousarray(samples, dtype=dtype)
    return data.reshape(-1).view(np.uint8).data, PcmFormat(encoding, sample_rate, channels)


def split(data: memoryview | bytes | bytearray) -> Iterator[bytes]:
    """Pieces of at most `CHUNK_BYTES`, none empty."""
    view = memoryview(data)
    return (bytes(view[start : start + CHUNK_BYTES]) for start in range(0, len(view), CHUNK_BYTES))


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """What is there, as soon as it is there: a pipe must not wait until it has filled a chunk."""
    read = getattr(file, "read1", file.read)
    return iter(lambda: read(CHUNK_BYTES), b"")


def chunks_of(audio: ClipInput | BinaryIO | Iterable[Chunk]) -> Iterable[Chunk]:
    """The chunks of anything that can be streamed. Raises OSError for a file that isn't there, or TypeError."""
    if isinstance(audio, str | os.PathLike):
        return open_clip(audio, None).chunks()
    if isinstance(audio, bytes | bytearray | memoryview | np.ndarray):
        return [audio]
    if hasattr(audio, "read"):
        return read_chunks(cast(BinaryIO, audio))
    if isinstance(audio, Iterable):
        return audio
    raise TypeError(f"a stream is a path, a binary file, or chunks of bytes or samples, not {type(audio).__name__}")
