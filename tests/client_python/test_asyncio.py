"""What only the asyncio client can do."""

import asyncio

import grpc
import pytest
from fake_server import STREAM_WINDOW_BYTES, Refusal

from culturetag import AsyncClient, NotFoundError


def test_takes_chunks_from_an_asynchronous_iterable(service, address):
    async def microphone():
        for _ in range(3):
            yield bytes(STREAM_WINDOW_BYTES)

    async def listen():
        async with AsyncClient(address) as client:
            return [window.start async for window in client.tag_stream(microphone())]

    assert asyncio.run(listen()) == [0, 5, 10]


def test_has_many_calls_in_flight(service, address):
    async def tag_all():
        async with AsyncClient(address) as client:
            return await asyncio.gather(*(client.tag(bytes([i])) for i in range(50)))

    assert len(asyncio.run(tag_all())) == 50
    assert {call.request.audio.encoded for call in service.calls} == {bytes([i]) for i in range(50)}


def test_cancels_the_call_with_its_task(service, address):
    async def give_up():
        never = asyncio.Event()

        async def silence():
            yield bytes(STREAM_WINDOW_BYTES)
            await never.wait()

        async with AsyncClient(address) as client:
            stream = client.tag_stream(silence())
            await anext(stream)
            rest = asyncio.create_task(stream.result())
            await asyncio.sleep(0)
            rest.cancel()
            await rest

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(give_up())


def test_ends_a_stream_with_its_block(service, address):
    async def leave():
        never = asyncio.Event()

        async def silence():
            yield bytes(STREAM_WINDOW_BYTES)
            await never.wait()

        async with AsyncClient(address) as client, client.tag_stream(silence()) as stream:
            return (await anext(stream)).start

    assert asyncio.run(leave()) == 0


def test_reports_the_servers_reason_although_messages_are_on_their_way_to_it(service, address):
    refused = Refusal(grpc.StatusCode.NOT_FOUND, "no such head")

    async def upload(client):
        with pytest.raises(NotFoundError, match="no such head"):
            await client.tag_stream([bytes(100_000)] * 20).result()

    async def upload_all():
        async with AsyncClient(address) as client:
            for _ in range(100):
                service.refuse("TagStream", refused)
                await upload(client)

    asyncio.run(upload_all())
