"""The six benchmarks as they lie on disk: one adapter for each layout, one form for all of them.

Audio and metadata come from the data sets' publishers; nothing here downloads anything.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from culturetag_model.datasets import dunya, fma, lyra, mtat
from culturetag_model.datasets.recordings import Dataset, DatasetError
from culturetag_model.vocabularies import HEAD_NAMES

_LOADERS: dict[str, Callable[[Path], Dataset]] = {
    "makam": partial(dunya.load, "makam"),
    "hindustani": partial(dunya.load, "hindustani"),
    "carnatic": partial(dunya.load, "carnatic"),
    "lyra": lyra.load,
    "fma": fma.load,
    "mtat": mtat.load,
}


def open_dataset(root: Path, head: str | None = None) -> Dataset:
    """Reads the data set in `root`.

    Args:
        root: The data set's folder, in its publisher's layout: see the modules of this package.
        head: Which data set it is, one of `HEAD_NAMES`; None: found out from its files.

    Raises:
        DatasetError: The folder isn't that data set, or isn't any.
    """
    if head is None:
        head = next((found for module in (lyra, fma, mtat, dunya) if (found := module.detect(root))), None)
    if head is None:
        raise DatasetError(f"{root} has the layout of none of {', '.join(HEAD_NAMES)}")
    try:
        return _LOADERS[head](root)
    except OSError as error:
        raise DatasetError(f"{root} is no {head} data set: {error}") from error
