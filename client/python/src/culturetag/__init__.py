"""Tags and embeddings of music, from a culturetag server.

from culturetag import Client

with Client("localhost:50051") as client:
    for head, tags in client.tag("song.flac", top_k=3).heads.items():
        print(head, [(tag.label, round(tag.score, 2)) for tag in tags])
"""

from culturetag._audio import PcmFormat
from culturetag._requests import TagOptions
from culturetag.aio import AsyncClient, AsyncTagStream
from culturetag.client import Client, TagStream
from culturetag.errors import (
    CultureTagError,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
)
from culturetag.results import AudioInfo, Head, Label, Model, Tag, TagResult, Timing, Window

__all__ = [
    "AsyncClient",
    "AsyncTagStream",
    "AudioInfo",
    "Client",
    "CultureTagError",
    "DeadlineExceededError",
    "FieldViolation",
    "Head",
    "InvalidRequestError",
    "Label",
    "Model",
    "NotFoundError",
    "NotSupportedError",
    "OverloadedError",
    "PcmFormat",
    "Tag",
    "TagOptions",
    "TagResult",
    "TagStream",
    "Timing",
    "UnauthenticatedError",
    "UnavailableError",
    "Window",
]
