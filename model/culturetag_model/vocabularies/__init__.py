"""The label sets of the six public benchmarks that CultureMERT is evaluated on.

Each JSON file beside this module names its source. The order of the labels is that of the benchmark.
"""

import json
from importlib.resources import files

from culturetag.v1.bundle_pb2 import BundleHead, BundleLabel

_TITLES = {
    "makam": "Turkish makam music",
    "hindustani": "Hindustani music",
    "carnatic": "Carnatic music",
    "lyra": "Greek traditional and folk music",
    "fma": "Genres of the Free Music Archive",
    "mtat": "MagnaTagATune tags",
}

HEAD_NAMES = tuple(_TITLES)
"""The names of the heads in the order in which a bundle lists them."""


def vocabulary(name: str) -> BundleHead:
    """The head `name` with its title, data set and labels; its file and metrics are left empty.

    Raises:
        KeyError: `name` is not one of `HEAD_NAMES`.
    """
    title = _TITLES[name]
    content = json.loads((files(__name__) / f"{name}.json").read_text(encoding="utf-8"))
    labels = [BundleLabel(name=label["name"], category=label["category"]) for label in content["labels"]]
    return BundleHead(name=name, title=title, dataset=content["dataset"], labels=labels)
