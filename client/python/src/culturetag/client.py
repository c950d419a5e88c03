"""The synchronous client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar, Unpack

import grpc
import numpy as np
from numpy.typing import NDArray

from culturetag import _convert
from culturetag._audio import Chunk, ClipInput, PcmFormat, chunks_of, open_clip
from culturetag._channel import Connection, Pem, channel_options
from culturetag._requests import STREAM_ABOVE_BYTES, StreamMessages, TagOptions, may_be_too_long, option_fields
from culturetag._stall import StallGuard
from culturetag.errors import CultureTagError, InvalidRequestError, OverloadedError, from_rpc_error
from culturetag.results import Model, TagResult, Window
from culturetag.v1 import tagging_pb2 as pb
from culturetag.v1 import tagging_pb2_grpc

Response = TypeVar("Response")


class Client:
    """A connection to a culturetag server. May be used by several threads at once; a context manager.

    Refusals that may pass (a full queue, a server that restarts) are retried by gRPC after the wait that the server
    asks for. Every call raises a `CultureTagError` that names what is wrong.
    """

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        client_id: str | None = None,
        token: str | None = None,
        tls: bool = False,
        tls_ca: Pem | None = None,
        tls_cert: Pem | None = None,
        tls_key: Pem | None = None,
        timeout: float = 60.0,
        max_attempts: int = 4,
    ) -> None:
        """Returns at once; connects with the first call.

        Args:
            target: `HOST:PORT`, or any other gRPC target.
            client_id: By what name the server counts this client's share of the device; default: by its address.
            token: A bearer token. Without TLS it is sent in the clear.
            tls: Whether to use TLS; any of the next three implies it.
            tls_ca: The certificates to trust, as a path or as PEM bytes; default: those that gRPC comes with.
            tls_cert: This client's certificate chain, for mutual TLS.
            tls_key: Its key.
            timeout: How long a call may take, in seconds, retries included. Streams are only bound by their own.
            max_attempts: How often gRPC makes a call, 1 to 5. 1 shows every refusal, as a load test wants.

        Raises:
            ValueError: `tls_cert` without `tls_key`, a token or `client_id` that isn't visible ASCII, or
                `max_attempts` out of range.
            OSError: A certificate or key can't be read.
        """
        self._connection = Connection(target, client_id, token, tls, tls_ca, tls_cert, tls_key)
        self._timeout = timeout
        credentials = self._connection.credentials()
        options = channel_options(max_attempts)
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            self._channel = grpc.secure_channel(target, credentials, options=options)
        self._stub = tagging_pb2_grpc.TaggingServiceStub(self._channel)

    def tag(
        self,
        audio: ClipInput,
        *,
        sample_rate: int | None = None,
        timeout: float | None = None,
        **options: Unpack[TagOptions],
    ) -> TagResult:
        """Tags one clip or track.

        Clips above 8 MiB, and those that turn out to be longer than the server takes in one request, are streamed.

        Args:
            audio: The path of an audio file, a file's bytes, or samples: `[N]` or `[N, C]`, int16 or floats in [-1, 1].
            sample_rate: Of samples, in Hz.
            timeout: Overrides the client's, in seconds. Of a clip that is streamed: how long nothing may move.
            **options: `model`, `heads`, `top_k`, `min_score`, `windows`, `priority`; see `TagOptions`.

        Raises:
            CultureTagError: The call failed.
            TypeError, ValueError, OSError: The arguments are wrong, or the file can't be read.
        """
        clip = open_clip(audio, sample_rate)
        fields = option_fields(options)
        if clip.size <= STREAM_ABOVE_BYTES:
            try:
                return _convert.tag_result(
                    self._call(self._stub.Tag, pb.TagRequest(audio=clip.to_proto(), **fields), timeout)
                )
            except (InvalidRequestError, OverloadedError) as error:
                if not may_be_too_long(clip, error):
                    raise
        messages = StreamMessages(fields, None, clip.pcm)
        guard = StallGuard(self._timeout if timeout is None else timeout)
        return self._stream(clip.chunks(), messages, None, guard).result()

    def tag_stream(
        self,
        audio: ClipInput | BinaryIO | Iterable[Chunk],
        *,
        sample_rate: int | None = None,
        pcm: PcmFormat | None = None,
        timeout: float | None = None,
        **options: Unpack[TagOptions],
    ) -> TagStream:
        """Tags audio of any length while it is being uploaded or recorded.

        Args:
            audio: As for `tag`, or a binary file such as `sys.stdin.buffer`, or chunks of any size: the bytes of an
                audio file, or arrays of samples. They are taken from another thread, as fast as the server takes them.
            sample_rate: Of arrays, in Hz.
            pcm: The form of bytes that are samples without a header.
            timeout: How long the whole stream may take, in seconds; default: forever.
            **options: As for `tag`; `windows` is about the result, for the stream itself is one of windows.

        Returns:
            An iterator over the windows, as soon as each is scored.

        Raises:
            TypeError, ValueError, OSError: The arguments are wrong, or the file can't be read.
        """
        messages = StreamMessages(option_fields(options), sample_rate, pcm)
        return self._stream(chunks_of(audio), messages, timeout, StallGuard(None))

    def embed(
        self,
        audio: ClipInput,
        *,
        sample_rate: int | None = None,
        model: str = "",
        windows: bool = False,
        timeout: float | None = None,
    ) -> NDArray[np.float32]:
        """The mean over time of every hidden state of the model.

        Args:
            audio, sample_rate, timeout: As for `tag`.
            model: A model's name; empty: the server's default.
            windows: Whether to return those of each window instead of those of the whole clip.

        Returns:
            `[L, D]`, or with `windows` `[W, L, D]`.

        Raises:
            As `tag`.
        """
        request = pb.EmbedRequest(audio=open_clip(audio, sample_rate).to_proto(), model=model, include_windows=windows)
        return _convert.embedding(self._call(self._stub.Embed, request, timeout), windows)

    def models(self, *, timeout: float | None = None) -> tuple[Model, ...]:
        """The models that the server serves, the default one first."""
        return _convert.models(self._call(self._stub.ListModels, pb.ListModelsRequest(), timeout))

    def close(self) -> None:
        """Ends the connection and the calls on it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., Response], request: object, timeout: float | None) -> Response:
        seconds = self._timeout if timeout is None else timeout
        try:
            return method(request, timeout=seconds, metadata=self._connection.metadata())
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._connection.target) from error

    def _stream(
        self, chunks: Iterable[Chunk], messages: StreamMessages, timeout: float | None, guard: StallGuard
    ) -> TagStream:
        upload = _Upload(chunks, messages, guard)
        call = self._stub.TagStream(iter(upload), timeout=timeout, metadata=self._connection.metadata())
        guard.watch(call.cancel)
        return TagStream(call, upload, guard, self._connection.target)


class TagStream(Iterator[Window]):
    """The windows of a stream, each as soon as it is scored. As a context manager it is cancelled at the end."""

    def __init__(self, call: Any, upload: _Upload, guard: StallGuard, target: str) -> None:
        self._call, self._upload, self._guard, self._target = call, upload, guard, target
        self._summary: TagResult | None = None

    def __next__(self) -> Window:
        """Raises a CultureTagError if the stream fails, and whatever the chunks raised."""
        response = self._read()
        if response.WhichOneof("message") == "summary":
            self._summary = _convert.tag_result(response.summary)
            response = self._read()  # the stream's status
        return _convert.window(response.window)

    def result(self) -> TagResult:
        """The tags of the whole; reads what is left of the stream. Raises as `__next__`."""
        for _ in self:
            pass
        if self._summary is None:
            raise CultureTagError(grpc.StatusCode.INTERNAL, "the stream ended without a summary")
        return self._summary

    def cancel(self) -> None:
        """Gives the stream up; the server drops what it hasn't scored."""
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def _read(self) -> pb.TagStreamResponse:
        """The next message. Raises StopIteration once the stream has ended well."""
        try:
            response: pb.TagStreamResponse = next(self._call)
        except StopIteration:
            self._guard.end()
            raise
        except grpc.RpcError as error:
            self._guard.end()
            if self._upload.error is not None:
                raise self._upload.error from None
            self._guard.raise_if_stalled()
            raise from_rpc_error(error, self._target) from error
        self._guard.moved()
        return response


class _Upload:
    """The messages of a stream, and what went wrong while they were made: gRPC only says that something did."""

    def __init__(self, chunks: Iterable[Chunk], messages: StreamMessages, guard: StallGuard) -> None:
        self._chunks, self._messages, self._guard = chunks, messages, guard
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[pb.TagStreamRequest]:
        try:
            for chunk in self._chunks:
                for message in self._messages.messages(chunk):
                    self._guard.moved()
                    yield message
            yield from self._messages.end()
        except Exception as error:
            self.error = error
            raise
