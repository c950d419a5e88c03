"""The Open Inference Protocol on the real server, as its tools call it."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import grpc
import numpy as np
import pytest
from conftest import encode, request
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import MELODY, ROOT, Server, running_server

sys.path.append(str(ROOT / "proto"))  # where grpc.protos and grpc.services look for
PROTO = "inference/open_inference.proto"
SERVICE = "inference.GRPCInferenceService"
TIMEOUT_S = 60

# By the names of heads: the labels in the order of the vocabulary.
Labels = dict[str, list[str]]


@pytest.fixture(scope="session")
def messages() -> ModuleType:
    return grpc.protos(PROTO)


@pytest.fixture(scope="session")
def services() -> ModuleType:
    return grpc.services(PROTO)


@pytest.fixture(scope="module")
def oip(server: Server, services: ModuleType) -> Iterator:
    with server.channel() as channel:
        yield services.GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def labels(stub: tagging_pb2_grpc.TaggingServiceStub) -> Labels:
    model = stub.ListModels(tagging_pb2.ListModelsRequest()).models[0]
    return {head.name: [label.name for label in head.labels] for head in model.heads}


@pytest.fixture(scope="module")
def clips(melody: tuple[np.ndarray, int]) -> list[bytes]:
    """Three files of different containers and lengths."""
    samples, rate = melody
    return [MELODY.read_bytes(), encode(samples[: 3 * rate], rate), encode(samples[: 7 * rate], rate, "OGG")]


def raw_bytes(elements: list[bytes]) -> bytes:
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)


def split_raw_bytes(raw: bytes) -> list[str]:
    elements = []
    while raw:
        end = 4 + int.from_bytes(raw[:4], "little")
        elements.append(raw[4:end].decode())
        raw = raw[end:]
    return elements


def infer_request(messages: ModuleType, files: list[bytes], *, raw: bool = False, outputs: tuple[str, ...] = ()):
    audio = messages.ModelInferRequest.InferInputTensor(name="AUDIO", datatype="BYTES", shape=[len(files)])
    built = messages.ModelInferRequest(model_name="demo", id="17")
    built.outputs.extend(messages.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs)
    if raw:
        built.raw_input_contents.append(raw_bytes(files))
    else:
        audio.contents.bytes_contents.extend(files)
    built.inputs.append(audio)
    return built


def tensors(response) -> dict[str, np.ndarray | list[str]]:
    """By name, from either form: [N, K] scores and the list of labels."""
    found = {}
    for index, output in enumerate(response.outputs):
        raw = response.raw_output_contents[index] if response.raw_output_contents else None
        if output.datatype == "BYTES":
            found[output.name] = split_raw_bytes(raw) if raw else [b.decode() for b in output.contents.bytes_contents]
            assert list(output.shape) == [len(found[output.name])]
        else:
            flat = np.frombuffer(raw, "<f4") if raw else np.array(output.contents.fp32_contents, "f4")
            found[output.name] = flat.reshape(output.shape)
    return found


def tag_scores(stub: tagging_pb2_grpc.TaggingServiceStub, labels: Labels, files: list[bytes]) -> dict[str, np.ndarray]:
    """What Tag says of the files: by head, [N, K]."""
    rows: dict[str, list[list[float]]] = {head: [] for head in labels}
    for file in files:
        for head in stub.Tag(request(file), timeout=TIMEOUT_S).heads:
            scores = {tag.label: tag.score for tag in head.tags}
            rows[head.head].append([scores[label] for label in labels[head.head]])
    return {head: np.array(scores) for head, scores in rows.items()}


@pytest.mark.parametrize("raw", [False, True])
def test_a_batch_has_the_scores_of_tag(oip, messages, stub, labels, clips, raw):
    response = oip.ModelInfer(infer_request(messages, clips, raw=raw), timeout=TIMEOUT_S)
    assert (response.model_name, response.id) == ("demo", "17")
    assert len(response.raw_output_contents) == (len(response.outputs) if raw else 0)
    found = tensors(response)
    assert list(found) == [*labels, "LABELS"]
    assert found["LABELS"] == [label for names in labels.values() for label in names]
    for head, expected in tag_scores(stub, labels, clips).items():
        np.testing.assert_allclose(found[head], expected, rtol=0, atol=1e-6)


def test_only_what_is_asked_for_comes_back(oip, messages, stub, labels, clips):
    wanted = infer_request(messages, clips[:1], outputs=("fma", "LABELS", "makam"))
    found = tensors(oip.ModelInfer(wanted, timeout=TIMEOUT_S))
    assert list(found) == ["fma", "LABELS", "makam"]
    assert found["LABELS"] == labels["fma"] + labels["makam"]
    expected = tag_scores(stub, labels, clips[:1])
    np.testing.assert_allclose(found["makam"], expected["makam"], rtol=0, atol=1e-6)


def test_metadata_describes_what_comes_back(oip, messages, labels):
    assert oip.ServerMetadata(messages.ServerMetadataRequest()).name == "culturetag"
    model = oip.ModelMetadata(messages.ModelMetadataRequest(name="demo"))
    assert [(t.name, t.datatype, list(t.shape)) for t in model.inputs] == [("AUDIO", "BYTES", [-1])]
    heads = [(head, "FP32", [-1, len(names)]) for head, names in labels.items()]
    assert [(t.name, t.datatype, list(t.shape)) for t in model.outputs] == [*heads, ("LABELS", "BYTES", [-1])]
    ready = oip.ModelReady(messages.ModelReadyRequest(name="demo", version=model.versions[0]))
    assert ready.ready
    with pytest.raises(grpc.RpcError) as error:
        oip.ModelReady(messages.ModelReadyRequest(name="demo", version="0"))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_file_that_cant_be_decoded_is_named(oip, messages, clips):
    with pytest.raises(grpc.RpcError) as error:
        oip.ModelInfer(infer_request(messages, [clips[1], b"no audio"], raw=True), timeout=TIMEOUT_S)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.details().startswith("AUDIO[1]: ")


def test_the_service_has_its_health(server):
    with server.channel() as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        named = bytes([0x0A, len(SERVICE)]) + SERVICE.encode()
        assert check(named, timeout=TIMEOUT_S) == b"\x08\x01"  # SERVING


# With the proto, and with what reflection says of it: a stock client knows nothing else.
@pytest.mark.parametrize("schema", [["--schema", "proto"], ["--reflect"]])
def test_a_stock_client_gets_the_scores_of_tag(server, stub, labels, schema):
    call = {
        "inputs": [
            {
                "name": "AUDIO",
                "datatype": "BYTES",
                "shape": [1],
                "contents": {"bytes_contents": [base64.b64encode(MELODY.read_bytes()).decode()]},
            }
        ],
        "outputs": [{"name": "makam"}],
    }
    url = f"http://{server.address}/{SERVICE}/ModelInfer"
    curl = [ROOT / ".venv/bin/buf", "curl", *schema, "--protocol=grpc", "--http2-prior-knowledge", "--data=@-", url]
    run = subprocess.run(
        curl, check=False, input=json.dumps(call), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert run.returncode == 0, run.stderr
    (output,) = json.loads(run.stdout)["outputs"]
    expected = tag_scores(stub, labels, [MELODY.read_bytes()])["makam"]
    np.testing.assert_allclose([output["contents"]["fp32Contents"]], expected, rtol=0, atol=1e-6)


def test_tokens_and_limits_count_for_it_too(tmp_path, messages, services, clips):
    token = "web-0123456789abcdef"
    (tmp_path / "tokens").write_text(f"web {token} audio_seconds_per_minute=20\n")
    flags = (f"--auth_tokens_file={tmp_path / 'tokens'}", "--max_batch_windows=2")
    with running_server(tmp_path, *flags) as server, server.channel() as channel:
        stub = services.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(messages.ServerLiveRequest(), timeout=TIMEOUT_S).live
        assert stub.ServerReady(messages.ServerReadyRequest(), timeout=TIMEOUT_S).ready
        batch = infer_request(messages, [clips[0], clips[0]])  # 28 s of audio
        bearer = [("authorization", f"Bearer {token}")]
        with pytest.raises(grpc.RpcError) as error:
            stub.ModelInfer(batch, timeout=TIMEOUT_S)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert stub.ModelInfer(batch, timeout=TIMEOUT_S, metadata=bearer).outputs
        with pytest.raises(grpc.RpcError) as error:
            stub.ModelInfer(batch, timeout=TIMEOUT_S, metadata=bearer)
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "audio_seconds_per_minute" in error.value.details()
        assert server.metric('culturetag_requests_total{code="OK",method="ModelInfer"}') == 1
