"""Which recording is trained on, validated on and tested on.

A study's own split wins where it is given: files `split/train`, `split/valid` and `split/test` under a data set's
root, as NumPy arrays of strings (`.npy`, the form in which the cross-cultural transfer study publishes its splits,
github.com/pxaris/ccml) or as text with one id a line (`.txt`). Without them recordings are divided 70/10/20 as in that
study (Papaioannou et al. 2023, arXiv:2307.09795), at random from a fixed seed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from culturetag_model.datasets.recordings import SPLITS, DatasetError

SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}
SEED = 0

RANDOM_SOURCE = f"70/10/20 by recording, at random from seed {SEED}"
GIVEN_SOURCE = "the files of split/"


def random_split(ids: Iterable[str], shares: Mapping[str, float] = SHARES) -> dict[str, str]:
    """A split for each id, which depends on the set of ids alone."""
    shuffled = np.random.default_rng(SEED).permutation(sorted(ids))
    ends = np.round(np.cumsum(list(shares.values())) * len(shuffled)).astype(int)
    parts = np.split(shuffled, ends[:-1])
    return {str(id): name for name, part in zip(shares, parts, strict=True) for id in part}


def given_split(root: Path) -> dict[str, str] | None:
    """A split for each id that the files of `root/split` list; None if there are no such files.

    Raises:
        DatasetError: Only some of the three files are there, one is unreadable, or an id stands in two of them.
    """
    paths = {name: _split_file(root / "split", name) for name in SPLITS}
    if not any(paths.values()):
        return None
    result: dict[str, str] = {}
    for name, path in paths.items():
        if path is None:
            raise DatasetError(f"{root / 'split'} has files for some splits, but none for {name}")
        for id in _read_ids(path):
            if result.setdefault(id, name) != name:
                raise DatasetError(f"recording {id} stands in the splits {result[id]} and {name}")
    return result


def split_for(root: Path, ids: Iterable[str]) -> tuple[dict[str, str], str]:
    """The given split if there is one, else a random one, and where it comes from."""
    given = given_split(root)
    return (given, GIVEN_SOURCE) if given is not None else (random_split(ids), RANDOM_SOURCE)


def _split_file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.npy", folder / f"{name}.txt") if path.is_file()), None)


def _read_ids(path: Path) -> list[str]:
    try:
        if path.suffix == ".npy":
            lines = np.load(path, allow_pickle=False).astype(str).tolist()
        else:
            lines = path.read_text(encoding="utf-8").splitlines()
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
    # MagnaTagATune's published lists put the clip's row number and a tab before its path.
    return [line.rpartition("\t")[2].strip() for line in lines if line.strip()]
