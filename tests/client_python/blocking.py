"""`AsyncClient` with the face of `Client`, so that one set of tests holds both to the same behaviour."""

import asyncio

from culturetag import AsyncClient


class BlockingClient:
    def __init__(self, *arguments, **options) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._make(*arguments, **options))

    async def _make(self, *arguments, **options) -> AsyncClient:
        return AsyncClient(*arguments, **options)

    def tag(self, *arguments, **options):
        return self._runner.run(self._client.tag(*arguments, **options))

    def embed(self, *arguments, **options):
        return self._runner.run(self._client.embed(*arguments, **options))

    def models(self, **options):
        return self._runner.run(self._client.models(**options))

    def tag_stream(self, *arguments, **options):
        async def start():
            return self._client.tag_stream(*arguments, **options)

        return BlockingStream(self._runner, self._runner.run(start()))

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


class BlockingStream:
    def __init__(self, runner: asyncio.Runner, stream) -> None:
        self._runner, self._stream = runner, stream

    def __iter__(self):
        return self

    def __next__(self):
        async def read():
            return await anext(self._stream, None)

        window = self._runner.run(read())
        if window is None:
            raise StopIteration
        return window

    def result(self):
        return self._runner.run(self._stream.result())

    def cancel(self) -> None:
        self._runner.run(self._cancel())

    async def _cancel(self) -> None:
        self._stream.cancel()
