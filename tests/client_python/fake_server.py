"""A server of the contract that records what it is asked and answers, or refuses, as it is told."""

import contextlib
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from culturetag.v1 import tagging_pb2 as pb
from culturetag.v1 import tagging_pb2_grpc

STREAM_WINDOW_BYTES = 1000
"""A stream's window is complete after so many bytes of data."""

MOST_WINDOWS_A_MESSAGE = 5
"""Further ones are left out, so that large uploads cost little."""

LAYERS, HIDDEN = 3, 4


@dataclasses.dataclass
class Refusal:
    """What a call is ended with."""

    code: grpc.StatusCode
    message: str = "no"
    field: str = ""
    retry_delay_s: float | None = None
    pushback_ms: str | None = None

    def raise_in(self, context: grpc.ServicerContext) -> None:
        details = []
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field, description=self.message)
            details.append(packed(error_details_pb2.BadRequest(field_violations=[violation])))
        if self.retry_delay_s is not None:
            delay = duration_pb2.Duration(nanos=round(self.retry_delay_s * 1e9))
            details.append(packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=details)
        trailers = [("grpc-status-details-bin", status.SerializeToString())]
        if self.pushback_ms is not None:
            trailers.append(("grpc-retry-pushback-ms", self.pushback_ms))
        context.set_trailing_metadata(trailers)
        context.abort(self.code, self.message)


def packed(message) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail


@dataclasses.dataclass
class Call:
    """One attempt that reached the server."""

    method: str
    metadata: dict[str, str]
    request: object = None
    """Of a unary call."""
    config: pb.TagStreamConfig | None = None
    data: bytearray = dataclasses.field(default_factory=bytearray)
    largest_chunk: int = 0


class FakeService(tagging_pb2_grpc.TaggingServiceServicer):
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.refusals: dict[str, list[Refusal]] = {}
        """By method: what the next calls end with, before calls succeed again."""

    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    def refuse(self, method: str, *refusals: Refusal) -> None:
        self.refusals[method] = list(refusals)

    def Tag(self, request, context):
        self._begin("Tag", context, request)
        return tag_response(request.include_windows)

    def Embed(self, request, context):
        self._begin("Embed", context, request)
        values = [float(i) for i in range(LAYERS * HIDDEN)]
        window = pb.WindowEmbedding(values=values)
        return pb.EmbedResponse(
            layer_count=LAYERS,
            hidden_size=HIDDEN,
            values=values,
            windows=[window, window] if request.include_windows else [],
        )

    def ListModels(self, request, context):
        self._begin("ListModels", context, request)
        labels = [pb.Label(name="Hüseyni", category="makam"), pb.Label(name="Ney", untrained_reason="never heard")]
        head = pb.Head(name="makam", title="Makam", dataset="a corpus", labels=labels, metrics={"map": 0.5})
        window = duration_pb2.Duration(seconds=5)
        return pb.ListModelsResponse(models=[pb.Model(name="demo", window=window, layer_count=LAYERS, heads=[head])])

    def TagStream(self, requests, context):
        call = self._begin("TagStream", context)
        for request in requests:
            if request.WhichOneof("message") == "config":
                assert call.config is None
                call.config = request.config
                continue
            assert call.config is not None
            complete = len(call.data) // STREAM_WINDOW_BYTES
            call.data += request.data
            call.largest_chunk = max(call.largest_chunk, len(request.data))
            ready = range(complete, len(call.data) // STREAM_WINDOW_BYTES)
            for index in ready[:MOST_WINDOWS_A_MESSAGE]:
                yield pb.TagStreamResponse(window=window_result(index))
        yield pb.TagStreamResponse(summary=tag_response(call.config.include_windows))

    def _begin(self, method: str, context: grpc.ServicerContext, request: object = None) -> Call:
        call = Call(method, dict(context.invocation_metadata()), request)
        self.calls.append(call)
        waiting = self.refusals.get(method)
        if waiting:
            waiting.pop(0).raise_in(context)
        return call


def head_results() -> list[pb.HeadResult]:
    tags = [
        pb.Tag(label="Hüseyni", category="makam", score=0.75),
        pb.Tag(label="Ney", category="instrument", score=0.5),
    ]
    return [pb.HeadResult(head="makam", tags=tags), pb.HeadResult(head="fma")]


def window_result(index: int) -> pb.WindowResult:
    start, length = duration_pb2.Duration(seconds=5 * index), duration_pb2.Duration(seconds=5)
    return pb.WindowResult(start_offset=start, duration=length, heads=head_results())


def tag_response(include_windows: bool) -> pb.TagResponse:
    return pb.TagResponse(
        model="demo",
        model_version="1.0.0",
        audio=pb.AudioInfo(
            duration=duration_pb2.Duration(seconds=7, nanos=500_000_000),
            sample_rate_hz=44100,
            channel_count=2,
            format="FLAC/PCM_16",
            window_count=2,
        ),
        heads=head_results(),
        windows=[window_result(0), window_result(1)] if include_windows else [],
        timing=pb.Timing(total=duration_pb2.Duration(nanos=20_000_000)),
    )


@contextlib.contextmanager
def serving(
    service: FakeService, *, max_message_bytes: int = -1, credentials: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """The address of a server of `service`, on a free port of the loopback interface."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", max_message_bytes)])
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(service, server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()
