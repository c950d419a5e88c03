"""How a stream ended by the server's own account, where grpc.aio forgets it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc
import grpc.aio

T = TypeVar("T")

_STATUS_WAIT_S = 1.0


class Ending:
    """The status that the server ended a stream with.

    Where a server ends a stream while a message is on its way to it, as it does when it refuses an upload, grpc.aio may
    put an INTERNAL of its own in the place of the server's status (issue 36066 of grpc/grpc). The call's callbacks see
    both, in either order.
    """

    def __init__(self, call: Any) -> None:
        self._server: grpc.aio.AioRpcError | None = None
        self._known = asyncio.Event()
        call.add_done_callback(self._note)

    async def instead_of(self, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
        """The server's status, whose code may be OK; or `error` where none arrives."""
        if not _is_of_grpc_itself(error):
            return error
        try:
            await asyncio.wait_for(self._known.wait(), _STATUS_WAIT_S)
        except TimeoutError:
            return error
        return self._server or error

    def _note(self, call: Any) -> None:
        status = grpc.aio.AioRpcError(
            code=_at_once(call.code()),
            initial_metadata=grpc.aio.Metadata(),
            trailing_metadata=_at_once(call.trailing_metadata()),
            details=_at_once(call.details()),
        )
        if not _is_of_grpc_itself(status):
            self._server = status
            self._known.set()


def _is_of_grpc_itself(error: grpc.aio.AioRpcError) -> bool:
    return error.code() is grpc.StatusCode.INTERNAL and error.details() == "Internal error from Core"


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for: that of a call that is done."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        value: T = returned.value
        return value
    raise AssertionError("a call that is done has its status")
