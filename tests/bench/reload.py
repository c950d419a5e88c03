"""A bundle reloaded again and again under load: does a call fail, does one mix versions, does the memory grow?

    .venv/bin/python tests/bench/reload.py [--reloads 1000] [--clients 4] [--hidden 64 --layers 1]

starts the server on a link to a bundle of random weights, and turns the link from one version to the other as soon as the one
before is served, while clients call Tag and TagStream without a pause. Each answer must name one version, and have that version's
scores. The memory is the server's resident set after each reload; its slope is that of a line through all but the first tenth.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from conftest import encode
from culturetag.v1 import tagging_pb2
from real_server import MELODY, running_server
from reloads import make_versions, reload_under_load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--layers", type=int, default=1, help="of the bundle's backbone")
    parser.add_argument("--hidden", type=int, default=64, help="its width, a multiple of 64")
    options = parser.parse_args()
    samples, rate = soundfile.read(MELODY, dtype="float32")
    clip = tagging_pb2.Audio(encoded=encode(samples[: 7 * rate], rate))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        versions = make_versions(folder, ("1", "2"), layers=options.layers, hidden=options.hidden)
        link = folder / "current"
        link.symlink_to(versions["1"])
        with running_server(folder, "--max_batch_windows=4", bundle=link) as server:
            report = reload_under_load(server, link, versions, clip, reloads=options.reloads, clients=options.clients)
    steady = np.array(report.resident_mb[options.reloads // 10 :])
    slope = np.polyfit(np.arange(len(steady)), steady, 1)[0] if len(steady) > 1 else 0.0
    print(
        f"{options.reloads} reloads in {report.seconds:.0f} s ({1000 * report.seconds / options.reloads:.0f} ms each), "
        f"{sum(report.calls.values())} calls by version {report.calls}, {len(report.failures)} failed {report.failures[:3]}\n"
        f"resident MB: first {report.resident_mb[0]:.0f}, last {report.resident_mb[-1]:.0f}, least {steady.min():.0f}, "
        f"most {steady.max():.0f}, slope {1000 * slope:.1f} a thousand reloads"
    )
    sys.exit(bool(report.failures))


if __name__ == "__main__":
    main()
