"""The requests that the synchronous and the asynchronous client have in common."""

from collections.abc import Iterable
from typing import Any, Literal, TypedDict

import numpy as np

from culturetag._audio import Chunk, Clip, PcmFormat, pcm_of, split
from culturetag.errors import CultureTagError, InvalidRequestError, OverloadedError
from culturetag.v1 import tagging_pb2 as pb

STREAM_ABOVE_BYTES = 8 << 20
"""Larger clips go by TagStream, which takes audio of any length and holds little of it in memory at a time. Smaller
ones go in one message."""

STREAM_AFTER_REFUSAL_FROM_BYTES = 1 << 20
"""A clip of this size may be one that decodes to more than the server takes in one request: what it refuses by Tag is
tried once more by TagStream."""


class TagOptions(TypedDict, total=False):
    """What to tag with, and how much of the outcome to return. Names and values are checked by the server."""

    model: str
    """A model's name, as `models()` gives it. Default: the server's default model."""
    heads: str | Iterable[str]
    """The heads to return, for example `["makam", "mtat"]`. Default: all."""
    top_k: int
    """The most tags to return for each head, the best first. Default: all."""
    min_score: float
    """Tags with a lower score are left out, in [0, 1]. Default: 0."""
    windows: bool
    """Whether the result has the tags of each window, too. Default: no."""
    priority: Literal["interactive", "bulk"]
    """`bulk` yields to other clients' `interactive`, the default, but is never starved by it."""


def option_fields(options: TagOptions) -> dict[str, Any]:
    """The fields that `TagRequest` and `TagStreamConfig` share.

    Raises:
        TypeError: There is no such option.
        ValueError: There is no such priority.
    """
    unknown = options.keys() - TagOptions.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"no such option: {', '.join(sorted(unknown))}; there are {', '.join(TagOptions.__annotations__)}"
        )
    heads = options.get("heads", ())
    priority = options.get("priority", "interactive")
    if priority not in ("interactive", "bulk"):
        raise ValueError(f"priority is 'interactive' or 'bulk', not {priority!r}")
    return {
        "model": options.get("model", ""),
        "heads": [heads] if isinstance(heads, str) else list(heads),
        "top_k": options.get("top_k", 0),
        "min_score": options.get("min_score", 0.0),
        "include_windows": options.get("windows", False),
        "priority": pb.PRIORITY_BULK if priority == "bulk" else pb.PRIORITY_INTERACTIVE,
    }


def may_be_too_long(clip: Clip, error: CultureTagError) -> bool:
    """Whether a clip that Tag refused may be fine for TagStream."""
    if isinstance(error, InvalidRequestError):
        blamed = any(violation.field.partition(".")[0] == "audio" for violation in error.violations)
        return blamed and clip.size >= STREAM_AFTER_REFUSAL_FROM_BYTES
    # Without a RetryInfo it was gRPC that refused a message larger than the server's limit.
    return isinstance(error, OverloadedError) and error.retry_after is None


class StreamMessages:
    """Turns the chunks of one stream into its messages: the config, once the first chunk tells the form, then data."""

    def __init__(self, fields: dict[str, Any], sample_rate: int | None, pcm: PcmFormat | None) -> None:
        """Args:
            fields: As `option_fields` gives them.
            sample_rate: Of chunks that are arrays, in Hz.
            pcm: The form of chunks that are bytes; None: they are those of an encoded file.

        Raises:
            ValueError: Both are given.
        """
        if sample_rate is not None and pcm is not None:
            raise ValueError("sample_rate goes with arrays and pcm with bytes; give one of them")
        self._config = pb.TagStreamConfig(**fields)
        self._sample_rate, self._pcm = sample_rate, pcm
        self._form: PcmFormat | None = None
        self._started = False

    def messages(self, chunk: Chunk) -> Iterable[pb.TagStreamRequest]:
        """The messages for the next chunk.

        Raises:
            TypeError, ValueError: The chunk is of another form than those before it, or of none that can be sent.
        """
        data, form = self._bytes(chunk)
        if not self._started:
            yield self._start(form)
        elif form != self._form:
            raise ValueError(f"a chunk of {form} in a stream of {self._form}")
        for piece in split(data):
            yield pb.TagStreamRequest(data=piece)

    def end(self) -> Iterable[pb.TagStreamRequest]:
        """The messages that are left when there are no more chunks: the config, if there never was one."""
        if not self._started:
            yield self._start(self._pcm)

    def _start(self, form: PcmFormat | None) -> pb.TagStreamRequest:
        self._started, self._form = True, form
        if form is not None:
            self._config.pcm.CopyFrom(form.to_proto())
        return pb.TagStreamRequest(config=self._config)

    def _bytes(self, chunk: Chunk) -> tuple[memoryview, PcmFormat | None]:
        if isinstance(chunk, np.ndarray):
            if self._pcm is not None:
                raise TypeError("pcm describes bytes, and this chunk is an array: give sample_rate instead")
            return pcm_of(chunk, self._sample_rate)
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise TypeError(f"a chunk is bytes or a numpy array, not {type(chunk).__name__}")
        if self._sample_rate is not None:
            raise TypeError("sample_rate goes with arrays; for bytes of samples give pcm=PcmFormat(...)")
        return memoryview(chunk).cast("B"), self._pcm
