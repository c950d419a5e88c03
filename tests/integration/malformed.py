"""Real files of many formats, damaged: what a server answers to thousands of them.

    .venv/bin/python tests/integration/malformed.py --files 10000

starts a server on the demo bundle, sends the files over gRPC, two thirds as Tag and one third as TagStream, and prints what
came back. Exits 1 if an answer was neither tags (damage that still decodes) nor INVALID_ARGUMENT, or if the server's memory
grew. A file depends on its number alone, so that a run can be repeated.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import io
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import soundfile
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import MELODY, Server, running_server

# (container, encoding, rate in Hz): what people have, then what libsndfile knows besides.
FORMATS = [
    ("WAV", "PCM_16", 44100), ("WAV", "PCM_24", 48000), ("WAV", "FLOAT", 24000), ("WAV", "IMA_ADPCM", 22050),
    ("WAV", "MS_ADPCM", 22050), ("WAV", "ULAW", 8000), ("WAV", "GSM610", 8000), ("WAVEX", "PCM_16", 44100),
    ("FLAC", "PCM_16", 44100), ("FLAC", "PCM_24", 48000), ("MP3", "MPEG_LAYER_III", 44100), ("OGG", "VORBIS", 44100),
    ("OGG", "OPUS", 48000), ("AIFF", "PCM_16", 44100), ("AIFF", "PCM_S8", 22050), ("CAF", "PCM_16", 44100),
    ("CAF", "ALAC_16", 44100), ("W64", "PCM_16", 44100), ("RF64", "PCM_16", 44100), ("AU", "PCM_16", 44100),
    ("AU", "G721_32", 8000), ("SVX", "PCM_16", 22050), ("VOC", "PCM_16", 22050), ("NIST", "PCM_16", 16000),
    ("PAF", "PCM_24", 44100), ("IRCAM", "PCM_16", 22050), ("MAT5", "PCM_16", 22050), ("XI", "DPCM_16", 44100),
    ("SDS", "PCM_16", 44100), ("PVF", "PCM_16", 22050),
]  # fmt: skip
CLIP_S = 0.7
HEADER_BYTES = 64
ALLOWED = ("OK", "INVALID_ARGUMENT")
# Of malloc's arenas. What five thousand requests hold together is twenty times as much.
MEMORY_ALLOWANCE_MB = 24


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 4, 32])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_header_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 2, 8])):
        data[rng.randrange(min(HEADER_BYTES, len(data)))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


def lie_about_a_number(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(min(4 * HEADER_BYTES, len(data) - 4))
    lie = rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.getrandbits(32)])
    data[at : at + 4] = lie.to_bytes(4, rng.choice(["little", "big"]))


def take_another_header(data: bytearray, rng: random.Random) -> None:
    other = clean_file(rng.randrange(len(FORMATS)))
    size = rng.choice([4, 12, HEADER_BYTES])
    data[:size] = other[:size]


def cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 2000)]
    data += b"\0"  # never nothing


def insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.choice([rng.randbytes(200), bytes(5000), b"\xff" * 500, data[:1000]])


DAMAGES: list[Callable[[bytearray, random.Random], None]] = [
    flip_bits, flip_header_bits, truncate, lie_about_a_number, take_another_header, cut_out, insert,
]  # fmt: skip

_clean: dict[int, bytes] = {}


def clean_file(index: int) -> bytes:
    """A clip of the demo's melody in the format `FORMATS[index]`."""
    if index not in _clean:
        container, encoding, rate = FORMATS[index]
        samples, source_rate = soundfile.read(MELODY, dtype="float32", always_2d=True)
        places = np.arange(int(CLIP_S * rate)) * source_rate / rate
        clip = np.interp(places, np.arange(len(samples)), samples.mean(axis=1))
        file = io.BytesIO()
        soundfile.write(file, clip, rate, format=container, subtype=encoding)
        _clean[index] = file.getvalue()
    return _clean[index]


@dataclasses.dataclass
class DamagedFile:
    """The file of one number."""

    number: int
    format: str
    damage: str
    data: bytes


def damaged_file(number: int) -> DamagedFile:
    rng = random.Random(number)
    index = number % len(FORMATS)
    damage = DAMAGES[number // len(FORMATS) % len(DAMAGES)]
    data = bytearray(clean_file(index))
    damage(data, rng)
    return DamagedFile(number, "/".join(FORMATS[index][:2]), damage.__name__, bytes(data))


@dataclasses.dataclass
class Report:
    """What came of the files."""

    answers: collections.Counter  # by (format, damage, code)
    unexpected: list[str]
    memory_mb: list[float]  # the server's, sampled at even distances

    def count(self, code: str) -> int:
        return sum(count for (_, _, other), count in self.answers.items() if other == code)

    def growth_mb(self) -> float:
        """Over the second half of the run: in the first, malloc's arenas and the threads' buffers find their sizes."""
        return self.memory_mb[-1] - self.memory_mb[len(self.memory_mb) // 2 - 1]


def send(stub: tagging_pb2_grpc.TaggingServiceStub, file: DamagedFile) -> tuple[str, str]:
    """The answer's code and, of an error, what it says. Without a deadline, which a busy machine might not meet."""
    heads = ["makam"]
    try:
        if file.number % 3 == 2:
            list(stub.TagStream(stream_of(file.data, heads)))
        else:
            audio = tagging_pb2.Audio(encoded=file.data)
            stub.Tag(tagging_pb2.TagRequest(audio=audio, heads=heads))
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


def stream_of(data: bytes, heads: list[str]) -> Iterator[tagging_pb2.TagStreamRequest]:
    yield tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(heads=heads))
    for start in range(0, len(data), 4096):
        yield tagging_pb2.TagStreamRequest(data=data[start : start + 4096])


def run(server: Server, file_count: int, samples: int = 10, threads: int = 4) -> Report:
    """Sends the files 0 to `file_count` - 1 and every clean file before them."""
    report = Report(collections.Counter(), [], [])
    with server.channel() as channel, concurrent.futures.ThreadPoolExecutor(threads) as pool:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)

        def answer(file: DamagedFile) -> tuple[DamagedFile, str, str]:
            return file, *send(stub, file)

        for index in range(len(FORMATS)):
            clean = DamagedFile(index, "/".join(FORMATS[index][:2]), "none", clean_file(index))
            code, details = send(stub, clean)
            if code != "OK":
                report.unexpected.append(f"a clean {clean.format}: {code} {details}")
        for part in np.array_split(np.arange(file_count), samples):
            for file, code, details in pool.map(answer, map(damaged_file, part.tolist())):
                report.answers[file.format, file.damage, code] += 1
                if code not in ALLOWED:
                    report.unexpected.append(f"file {file.number}, {file.format}, {file.damage}: {code} {details}")
            report.memory_mb.append(server.resident_mb())
    return report


def show(report: Report) -> None:
    print("damage                    OK  refused")
    for damage in DAMAGES:
        counts = [
            sum(count for (_, name, code), count in report.answers.items() if (name, code) == (damage.__name__, wanted))
            for wanted in ALLOWED
        ]
        print(f"{damage.__name__:20} {counts[0]:7} {counts[1]:8}")
    print("memory (MB):", *(f"{sample:.0f}" for sample in report.memory_mb))
    for line in report.unexpected:
        print("UNEXPECTED:", line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="how many (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), "--max_batch_windows=4") as server:
        report = run(server, arguments.files)
    show(report)
    return 1 if report.unexpected or report.growth_mb() > MEMORY_ALLOWANCE_MB else 0


if __name__ == "__main__":
    sys.exit(main())
