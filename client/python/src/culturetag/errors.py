"""What can go wrong with a call, as exceptions that name what is wrong.

Wrong arguments of Python types raise `TypeError` or `ValueError`, and files that can't be read raise `OSError`, all
before anything is sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that the server refuses (google.rpc.BadRequest)."""

    field: str
    """A path into the request, for example `audio.encoded` or `min_score`."""
    description: str


class CultureTagError(Exception):
    """A call that failed. Its text is the server's or gRPC's own message."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.violations = violations
        """The fields that the server blames; empty unless the request was at fault."""
        self.retry_after = retry_after
        """After how many seconds the server expects a retry to succeed, if it said so (google.rpc.RetryInfo)."""

    def __str__(self) -> str:
        fields = ", ".join(violation.field for violation in self.violations)
        return f"{self.code.name}{f' ({fields})' if fields else ''}: {self.message}"


class InvalidRequestError(CultureTagError):
    """The server can't decode the audio or refuses an option; `violations` names the fields."""


class NotFoundError(CultureTagError):
    """No model or head of that name; the message lists those that exist."""


class UnauthenticatedError(CultureTagError):
    """The server asks for a token, and there was none that it knows."""


class OverloadedError(CultureTagError):
    """The server's queue is full, or it can't meet the timeout, and the retries were of no avail; see `retry_after`."""


class UnavailableError(CultureTagError):
    """No server answers, or it is loading or draining; the retries were of no avail."""


class DeadlineExceededError(CultureTagError, TimeoutError):
    """There was no answer within the timeout, retries included."""


class NotSupportedError(CultureTagError):
    """The server doesn't offer this call."""


_CLASSES: dict[grpc.StatusCode, type[CultureTagError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.UNIMPLEMENTED: NotSupportedError,
}


class _FailedCall(Protocol):
    """What errors of `grpc` and of `grpc.aio` have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[Any] | None: ...


def from_rpc_error(error: _FailedCall, target: str) -> CultureTagError:
    """The exception for a call to `target` that failed. Details that can't be parsed are passed over."""
    code, message = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        message = f"{target}: {message}"
    violations: list[FieldViolation] = []
    retry_after = None
    for detail in _details(error):
        bad_request, retry_info = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(bad_request):
            violations += [FieldViolation(each.field, each.description) for each in bad_request.field_violations]
        elif detail.Unpack(retry_info):
            retry_after = retry_info.retry_delay.seconds + retry_info.retry_delay.nanos / 1e9
    return _CLASSES.get(code, CultureTagError)(code, message, violations=tuple(violations), retry_after=retry_after)


def _details(error: _FailedCall) -> list[Any]:
    """The google.protobuf.Any messages of the google.rpc.Status that came with the status."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []
