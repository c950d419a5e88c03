"""Ranks audio files by how alike they sound to the first one: by the cosine between their embeddings."""

import argparse

import numpy as np
from numpy.typing import NDArray

from culturetag import Client


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The mean over layers of the cosine between two `[L, D]` embeddings, in [-1, 1]."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean(np.sum(a * b, axis=1) / norms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--server", default="localhost:50051", metavar="HOST:PORT")
    arguments = parser.parse_args()

    with Client(arguments.server) as client:
        embeddings = {path: client.embed(path) for path in arguments.files}
    wanted = embeddings[arguments.files[0]]
    ranked = {path: similarity(wanted, states) for path, states in embeddings.items()}
    for path, score in sorted(ranked.items(), key=lambda item: -item[1]):
        print(f"{score:.4f}\t{path}")


if __name__ == "__main__":
    main()
