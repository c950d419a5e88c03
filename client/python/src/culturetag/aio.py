"""The client for asyncio. Everything is as in `culturetag.client`, except that calls are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar, Unpack

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray

from culturetag import _convert
from culturetag._aio_ending import Ending
from culturetag._audio import Chunk, ClipInput, PcmFormat, chunks_of, open_clip
from culturetag._channel import Connection, Pem, channel_options
from culturetag._requests import STREAM_ABOVE_BYTES, StreamMessages, TagOptions, may_be_too_long, option_fields
from culturetag._stall import StallGuard
from culturetag.errors import CultureTagError, InvalidRequestError, OverloadedError, from_rpc_error
from culturetag.results import Model, TagResult, Window
from culturetag.v1 import tagging_pb2 as pb
from culturetag.v1 import tagging_pb2_grpc

Response = TypeVar("Response")


class AsyncClient:
    """As `culturetag.Client`, for one event loop: make it where that loop runs. An asynchronous context manager."""

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
        """As `culturetag.Client`."""
        self._connection = Connection(target, client_id, token, tls, tls_ca, tls_cert, tls_key)
        self._timeout = timeout
        credentials = self._connection.credentials()
        options = channel_options(max_attempts)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options=options)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options=options)
        self._stub = tagging_pb2_grpc.TaggingServiceStub(self._channel)

    async def tag(
        self,
        audio: ClipInput,
        *,
        sample_rate: int | None = None,
        timeout: float | None = None,
        **options: Unpack[TagOptions],
    ) -> TagResult:
        """As `culturetag.Client.tag`."""
        clip = open_clip(audio, sample_rate)
        fields = option_fields(options)
        if clip.size <= STREAM_ABOVE_BYTES:
            request = pb.TagRequest(audio=await asyncio.to_thread(clip.to_proto), **fields)
            try:
                return _convert.tag_result(await self._call(self._stub.Tag, request, timeout))
            except (InvalidRequestError, OverloadedError) as error:
                if not may_be_too_long(clip, error):
                    raise
        messages = StreamMessages(fields, None, clip.pcm)
        guard = StallGuard(self._timeout if timeout is None else timeout)
        return await self._stream(_in_thread(clip.chunks()), messages, None, guard).result()

    def tag_stream(
        self,
        audio: ClipInput | BinaryIO | Iterable[Chunk] | AsyncIterable[Chunk],
        *,
        sample_rate: int | None = None,
        pcm: PcmFormat | None = None,
        timeout: float | None = None,
        **options: Unpack[TagOptions],
    ) -> AsyncTagStream:
        """As `culturetag.Client.tag_stream`; the chunks may come from an asynchronous iterable, too. Those of others
        are taken in another thread, so that they may block.
        """
        messages = StreamMessages(option_fields(options), sample_rate, pcm)
        chunks = audio if isinstance(audio, AsyncIterable) else _in_thread(chunks_of(audio))
        return self._stream(chunks, messages, timeout, StallGuard(None))

    async def embed(
        self,
        audio: ClipInput,
        *,
        sample_rate: int | None = None,
        model: str = "",
        windows: bool = False,
        timeout: float | None = None,
    ) -> NDArray[np.float32]:
        """As `culturetag.Client.embed`."""
        message = await asyncio.to_thread(open_clip(audio, sample_rate).to_proto)
        request = pb.EmbedRequest(audio=message, model=model, include_windows=windows)
        return _convert.embedding(await self._call(self._stub.Embed, request, timeout), windows)

    async def models(self, *, timeout: float | None = None) -> tuple[Model, ...]:
        """As `culturetag.Client.models`."""
        return _convert.models(await self._call(self._stub.ListModels, pb.ListModelsRequest(), timeout))

    async def close(self) -> None:
        """Ends the connection and the calls on it."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(
        self, method: Callable[..., Awaitable[Response]], request: object, timeout: float | None
    ) -> Response:
        seconds = self._timeout if timeout is None else timeout
        try:
            return await method(request, timeout=seconds, metadata=self._connection.metadata())
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self._connection.target) from error

    def _stream(
        self, chunks: AsyncIterable[Chunk], messages: StreamMessages, timeout: float | None, guard: StallGuard
    ) -> AsyncTagStream:
        upload = _Upload(chunks, messages, guard)
        call = self._stub.TagStream(upload.messages(), timeout=timeout, metadata=self._connection.metadata())
        loop = asyncio.get_running_loop()
        guard.watch(lambda: loop.call_soon_threadsafe(call.cancel))
        return AsyncTagStream(call, upload, guard, self._connection.target)


class AsyncTagStream(AsyncIterator[Window]):
    """As `culturetag.TagStream`."""

    def __init__(self, call: Any, upload: _Upload, guard: StallGuard, target: str) -> None:
        self._call, self._upload, self._guard, self._target = call, upload, guard, target
        self._ending = Ending(call)
        self._summary: TagResult | None = None
        self._given_up = False

    async def __anext__(self) -> Window:
        """As `culturetag.TagStream.__next__`."""
        response = await self._read()
        if response is not grpc.aio.EOF and response.WhichOneof("message") == "summary":
            self._summary = _convert.tag_result(response.summary)
            response = await self._read()
        if response is grpc.aio.EOF:
            raise StopAsyncIteration
        return _convert.window(response.window)

    async def result(self) -> TagResult:
        """As `culturetag.TagStream.result`."""
        async for _ in self:
            pass
        if self._summary is None:
            raise CultureTagError(grpc.StatusCode.INTERNAL, "the stream ended without a summary")
        return self._summary

    def cancel(self) -> None:
        """Gives the stream up; the server drops what it hasn't scored."""
        self._given_up = True
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    async def _read(self) -> Any:
        """The next message, or EOF once the stream has ended well."""
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            self._guard.end()
            ending = await self._ending.instead_of(error)
            if ending.code() is grpc.StatusCode.OK:
                return grpc.aio.EOF
            raise from_rpc_error(ending, self._target) from error
        except asyncio.CancelledError:
            self._guard.end()
            self._explain_cancellation()
            raise  # the task was cancelled, and with it the call
        if response is grpc.aio.EOF:
            self._guard.end()
        self._guard.moved()
        return response

    def _explain_cancellation(self) -> None:
        """Raises what the call was cancelled for, unless it was the task that was cancelled."""
        if self._upload.error is not None:  # gRPC cancels the call where its messages can't be made
            raise self._upload.error from None
        self._guard.raise_if_stalled()
        if self._given_up:
            raise CultureTagError(grpc.StatusCode.CANCELLED, "the stream was given up") from None


class _Upload:
    """The messages of a stream, and what went wrong while they were made."""

    def __init__(self, chunks: AsyncIterable[Chunk], messages: StreamMessages, guard: StallGuard) -> None:
        self._chunks, self._messages, self._guard = chunks, messages, guard
        self.error: Exception | None = None

    async def messages(self) -> AsyncIterator[pb.TagStreamRequest]:
        try:
            async for chunk in self._chunks:
                for message in self._messages.messages(chunk):
                    self._guard.moved()
                    yield message
            for message in self._messages.end():
                yield message
        except Exception as error:
            self.error = error
            raise


async def _in_thread(chunks: Iterable[Chunk]) -> AsyncIterator[Chunk]:
    iterator = iter(chunks)
    while (chunk := await asyncio.to_thread(next, iterator, None)) is not None:
        yield chunk
