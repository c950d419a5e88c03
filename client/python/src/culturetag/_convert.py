"""From the messages of the contract to `culturetag.results`."""

from collections.abc import Iterable

import numpy as np
from google.protobuf.duration_pb2 import Duration
from numpy.typing import NDArray

from culturetag.results import AudioInfo, Head, Label, Model, Tag, TagResult, Timing, Window
from culturetag.v1 import tagging_pb2 as pb


def tag_result(response: pb.TagResponse) -> TagResult:
    audio, timing = response.audio, response.timing
    return TagResult(
        model=response.model,
        model_version=response.model_version,
        audio=AudioInfo(
            duration=_seconds(audio.duration),
            sample_rate=audio.sample_rate_hz,
            channels=audio.channel_count,
            format=audio.format,
            window_count=audio.window_count,
        ),
        heads=_heads(response.heads),
        windows=tuple(window(each) for each in response.windows),
        timing=Timing(
            decode=_seconds(timing.decode),
            queue=_seconds(timing.queue),
            inference=_seconds(timing.inference),
            total=_seconds(timing.total),
        ),
    )


def window(result: pb.WindowResult) -> Window:
    return Window(_seconds(result.start_offset), _seconds(result.duration), _heads(result.heads))


def embedding(response: pb.EmbedResponse, windows: bool) -> NDArray[np.float32]:
    """`[L, D]`, or `[W, L, D]` with `windows`."""
    shape = (response.layer_count, response.hidden_size)
    if not windows:
        return np.array(response.values, np.float32).reshape(shape)
    states = [np.array(each.values, np.float32).reshape(shape) for each in response.windows]
    return np.stack(states)


def models(response: pb.ListModelsResponse) -> tuple[Model, ...]:
    return tuple(_model(each) for each in response.models)


def _model(model: pb.Model) -> Model:
    return Model(
        name=model.name,
        version=model.version,
        backbone=model.backbone,
        license=model.license,
        description=model.description,
        sample_rate=model.sample_rate_hz,
        window=_seconds(model.window),
        layer_count=model.layer_count,
        hidden_size=model.hidden_size,
        device=model.device,
        precision=model.precision,
        heads=tuple(_head(each) for each in model.heads),
    )


def _head(head: pb.Head) -> Head:
    labels = tuple(Label(each.name, each.category, each.untrained_reason) for each in head.labels)
    return Head(head.name, head.title, head.dataset, labels, dict(head.metrics))


def _heads(results: Iterable[pb.HeadResult]) -> dict[str, tuple[Tag, ...]]:
    return {each.head: tuple(Tag(tag.label, tag.category, tag.score) for tag in each.tags) for each in results}


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
