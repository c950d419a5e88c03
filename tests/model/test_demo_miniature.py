"""The study in miniature, on noise in place of renderings: what it trains, merges and writes."""

import numpy as np
import pytest
import torch

from culturetag_model.demo import miniature
from culturetag_model.demo.dataset import Clip, ClipSet
from culturetag_model.demo.filterbank import CONV_DIM
from culturetag_model.demo.train import Plan
from culturetag_model.probes import Recipe
from culturetag_model.snapshot import load_snapshot
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

CLIPS_PER_HEAD, FRAMES = 4, 93
STUDY = miniature.Study(
    base=Plan(steps=2, batch=4, peak_rate=1e-3),
    continuation=Plan(steps=2, batch=4, peak_rate=1e-3),
    probes=Recipe(max_epochs=1),
)


def noise_split(folder):
    """Clips of every head, whose first two labels take turns."""
    random = np.random.default_rng(len(folder.name))
    clips = []
    for head in HEAD_NAMES:
        names = [label.name for label in vocabulary(head).labels]
        clips += [
            Clip(seed, head, [names[seed % 2]], 57.0, 100.0, [], "free.slow", [], melodic=False, percussive=False)
            for seed in range(CLIPS_PER_HEAD)
        ]
    count = len(clips)
    return ClipSet(
        clips,
        audio=np.zeros((count, 2), np.int16),
        features=np.abs(random.normal(size=(count, 2, FRAMES, CONV_DIM[-1]))).astype(np.float16),
        frames=random.integers(0, 2, (count, 750, 2)).astype(np.int8),
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder that the study wrote, and the text that it returned."""
    output = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(miniature, "read_split", noise_split)
        return output, miniature.run_miniature(output, output, STUDY)


def weights_of(folder, name):
    return load_snapshot(folder / "snapshots" / name).backbone.hubert.state_dict()


def test_every_backbone_has_a_row_over_all_corpora(study):
    folder, text = study

    names = ["base: mtat", *(f"base + {culture}" for culture in miniature.CULTURES), "merged, lambda 0.2"]
    for table in text.split("\n\n"):
        lines = table.strip().splitlines()
        assert [line.split("|")[1].strip() for line in lines[2:]] == [f"{name} (measured)" for name in names]
        assert all(line.count(" / ") == len(HEAD_NAMES) for line in lines[2:])
    assert (folder / "results.md").read_text(encoding="utf-8") == text
    assert {path.name for path in folder.iterdir()} == {"results.csv", "results.md", "results.png", "snapshots"}


def test_continuations_move_the_transformer_and_leave_the_front_end(study):
    base = weights_of(study[0], "base")

    for culture in miniature.CULTURES:
        continued = weights_of(study[0], culture)
        changed = {name.split(".")[0] for name in base if not torch.equal(base[name], continued[name])}
        assert changed == {"feature_projection", "encoder"}, culture


def test_the_merge_adds_a_fifth_of_every_difference_to_the_base(study):
    base, merged = (weights_of(study[0], name) for name in ("base", "merged"))
    continued = [weights_of(study[0], culture) for culture in miniature.CULTURES]

    for name, start in base.items():
        expected = start + 0.2 * sum(other[name] - start for other in continued)
        torch.testing.assert_close(merged[name], expected, atol=1e-6, rtol=0)
