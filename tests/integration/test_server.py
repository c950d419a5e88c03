"""The real server, called as its users call it."""

import io
import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import soxr
from conftest import encode, largest_difference, request, scores
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from real_server import BUNDLE, ROOT, running_server

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from culturetag.v1.bundle_pb2 import BundleHead, BundleLabel
from culturetag_model.backbone import build_backbone, mert_config
from culturetag_model.bundle import read_bundle, write_bundle
from culturetag_model.heads import ProbeHead
from culturetag_model.manifest import new_manifest
from culturetag_model.reference import load_mono, tag_file, tag_samples

SERVICE = "culturetag.v1.TaggingService"


def bad_request_field(error: grpc.RpcError) -> str:
    """The field that an INVALID_ARGUMENT's google.rpc.BadRequest names."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    violations = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(violations)
    return violations.field_violations[0].field


# --- What it answers


def test_lists_the_demo_model_with_the_real_vocabularies(stub):
    (model,) = stub.ListModels(tagging_pb2.ListModelsRequest()).models
    assert model.name == "demo"
    assert (model.sample_rate_hz, model.window.seconds) == (24000, 5)
    assert "synthetic" in model.description
    assert [head.name for head in model.heads] == ["makam", "hindustani", "carnatic", "lyra", "fma", "mtat"]
    for head in model.heads:
        vocabulary = json.loads((ROOT / f"model/culturetag_model/vocabularies/{head.name}.json").read_text())
        assert [(label.name, label.category) for label in head.labels] == [
            (label["name"], label["category"]) for label in vocabulary["labels"]
        ]


@pytest.mark.parametrize(
    ("container", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_16", 24000, 1),
        ("FLAC", "PCM_16", 24000, 1),
        ("WAV", "FLOAT", 48000, 1),
        ("FLAC", "PCM_24", 48000, 2),
        ("OGG", "VORBIS", 44100, 2),
        ("MP3", "MPEG_LAYER_III", 44100, 2),
        ("WAV", "PCM_24", 96000, 2),
    ],
)
def test_gives_a_melody_the_same_tags_in_every_format(stub, melody, container, subtype, rate, channels):
    samples, source_rate = melody
    plain = stub.Tag(request(encode(samples, source_rate)))
    converted = samples if rate == source_rate else soxr.resample(samples, source_rate, rate)
    other = stub.Tag(request(encode(np.stack([converted] * channels, axis=1), rate, container, subtype)))
    assert other.audio.channel_count == channels
    assert other.audio.sample_rate_hz == rate
    assert largest_difference(plain, other) < 0.02
    # The best tag stays the best, but for those that are as close to it.
    for head, same in zip(other.heads, plain.heads, strict=True):
        (score,) = (tag.score for tag in same.tags if tag.label == head.tags[0].label)
        assert same.tags[0].score - score < 2 * 0.02


@pytest.mark.parametrize("seconds", [0.5, 0.6, 4.999, 5.0, 5.001, 12.34, 61.0])
def test_cuts_clips_of_any_length_into_windows_and_agrees_with_the_reference(stub, melody, tmp_path, seconds):
    samples, rate = melody
    clip = np.resize(samples, int(seconds * rate))
    file = tmp_path / "clip.wav"
    file.write_bytes(encode(clip, rate, subtype="FLOAT"))
    response = stub.Tag(request(file.read_bytes(), include_windows=True))
    reference = tag_file(file, read_bundle(BUNDLE))
    assert response.audio.window_count == len(reference.windows) == len(response.windows)
    for window, expected in zip(response.windows, reference.windows, strict=True):
        assert window.start_offset.ToTimedelta().total_seconds() == pytest.approx(expected.start / 24000, abs=1e-6)
    labels = {head.name: [label.name for label in head.labels] for head in read_bundle(BUNDLE).manifest.heads}
    got = scores(response)
    for head, expected in reference.scores.items():
        for label, score in zip(labels[head], expected, strict=True):
            assert got[head, label] == pytest.approx(score, abs=1e-3)


def test_agrees_with_eager_pytorch_of_the_same_weights(melody, tmp_path):
    # A network of random weights that never were TorchScript: what is compared is the export, the decoder, the resampler,
    # the windows, the normalisation and the heads, all at once.
    config = mert_config(
        layers=3, hidden=48, heads=4, intermediate=64, conv_dim=(24,) * 7, position_kernel=32, position_groups=4
    )
    backbone = build_backbone(config, seed=3).eval()
    head = ProbeHead(backbone.layer_count, backbone.hidden_size, 3).eval()
    labels = [BundleLabel(name=name, category="makam") for name in ("Rast", "Segah", "Hicaz")]
    manifest = new_manifest(
        name="eager",
        version="1",
        backbone="random",
        license="CC0-1.0",
        description="A test.",
        normalize=True,
        heads=[BundleHead(name="makam", title="Makam", dataset="none", labels=labels)],
    )
    write_bundle(tmp_path / "bundle", manifest, backbone=backbone, heads={"makam": head}, license_text="None.\n")
    samples, rate = melody
    file = tmp_path / "clip.flac"
    stereo = soxr.resample(np.stack([samples, 0.5 * samples], axis=1)[: 17 * rate], rate, 44100)
    file.write_bytes(encode(stereo, 44100, "FLAC", "PCM_24"))
    expected = tag_samples(load_mono(file, 24000), manifest, backbone, {"makam": head})

    with running_server(tmp_path, bundle=tmp_path / "bundle") as server, server.channel() as channel:
        got = scores(tagging_pb2_grpc.TaggingServiceStub(channel).Tag(request(file.read_bytes())))
    for label, score in zip(labels, expected.scores["makam"], strict=True):
        assert got["makam", label.name] == pytest.approx(score, abs=1e-3)


def test_resamples_pcm_as_it_resamples_a_file(stub, melody):
    samples, rate = melody
    pcm = tagging_pb2.Pcm(
        encoding=tagging_pb2.ENCODING_F32LE, sample_rate_hz=rate, channel_count=1, samples=samples.tobytes()
    )
    by_pcm = stub.Tag(tagging_pb2.TagRequest(audio=tagging_pb2.Audio(pcm=pcm)))
    by_file = stub.Tag(request(encode(samples, rate, subtype="FLOAT")))
    assert largest_difference(by_pcm, by_file) < 1e-5


def test_selects_heads_top_k_and_minimum(stub, melody):
    samples, rate = melody
    response = stub.Tag(request(encode(samples, rate), heads=["fma", "makam"], top_k=3, min_score=0.01))
    assert [head.head for head in response.heads] == ["fma", "makam"]
    for head in response.heads:
        ranked = [tag.score for tag in head.tags]
        assert len(ranked) <= 3
        assert ranked == sorted(ranked, reverse=True)
        assert all(score >= 0.01 for score in ranked)


def test_scores_dont_depend_on_what_else_the_server_does(server, stub, melody):
    samples, rate = melody
    random = np.random.default_rng(5)
    # 200 requests: many of one length, some that share a rare one, and some of lengths of their own.
    lengths = [5.0] * 140 + [0.7] * 20 + [float(seconds) for seconds in random.uniform(0.5, 5, 36)] + [12.3] * 4
    clips = [
        encode(np.roll(samples, int(random.integers(len(samples))))[: int(length * rate)], rate) for length in lengths
    ]
    alone = [stub.Tag(request(clip)) for clip in clips]
    batches, windows = server.metric("culturetag_batch_windows_count"), server.metric("culturetag_batch_windows_sum")
    with ThreadPoolExecutor(len(clips)) as threads:
        together = list(threads.map(lambda clip: stub.Tag(request(clip)), clips))
    assert max(map(largest_difference, alone, together)) < 1e-4
    batches = server.metric("culturetag_batch_windows_count") - batches
    windows = server.metric("culturetag_batch_windows_sum") - windows
    assert windows > batches, "no batch had more than one window"


# --- What it refuses


def test_names_the_field_that_is_wrong(stub, melody):
    samples, rate = melody
    clip = encode(samples[: 2 * rate], rate)
    cases = {
        "audio": tagging_pb2.TagRequest(),
        "audio.encoded": request(b"no audio"),
        "top_k": request(clip, top_k=-1),
        "min_score": request(clip, min_score=1.5),
        "audio.pcm.encoding": tagging_pb2.TagRequest(audio=tagging_pb2.Audio(pcm=tagging_pb2.Pcm(samples=b"1234"))),
        "audio.pcm.samples": tagging_pb2.TagRequest(
            audio=tagging_pb2.Audio(
                pcm=tagging_pb2.Pcm(
                    encoding=tagging_pb2.ENCODING_S16LE, sample_rate_hz=8000, channel_count=2, samples=b"123"
                )
            )
        ),
    }
    for field, wrong in cases.items():
        with pytest.raises(grpc.RpcError) as refused:
            stub.Tag(wrong)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert bad_request_field(refused.value) == field


def test_refuses_garbage_one_by_one_and_holds_no_memory_after_it(server, stub, melody):
    samples, rate = melody
    random = np.random.default_rng(1)
    whole = [
        encode(samples[: 3 * rate], rate, *form)
        for form in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("AIFF", "PCM_16"), ("MP3", None))
    ]

    def garbage(i: int) -> bytes:
        """Random bytes, a file cut short, and a header that promises more than there is, in turn."""
        if i % 3 == 0:
            return random.bytes(int(random.integers(0, 5000)))
        file = whole[i // 3 % len(whole)]
        if i % 3 == 1:
            return file[: int(random.integers(1, len(file) - 200))]
        lying = bytearray(whole[0])
        lying[40:44] = int(random.integers(len(lying), 2**31 - 1)).to_bytes(4, "little")  # the size of `data`
        return bytes(lying)

    def refuse(data: bytes) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            stub.Tag(request(data))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, refused.value.details()
        assert bad_request_field(refused.value) == "audio.encoded"

    payloads = [garbage(i) for i in range(1000)]
    for data in payloads[:100]:  # what is allocated once, is
        refuse(data)
    before = server.resident_mb()
    for data in payloads:
        refuse(data)
    assert server.resident_mb() < before + 10
    assert stub.Tag(request(whole[0])).heads


def test_names_the_heads_and_models_that_exist(stub, melody):
    samples, rate = melody
    clip = encode(samples[:rate], rate)
    with pytest.raises(grpc.RpcError) as no_head:
        stub.Tag(request(clip, heads=["raga"]))
    assert no_head.value.code() == grpc.StatusCode.NOT_FOUND
    assert "hindustani" in no_head.value.details()
    with pytest.raises(grpc.RpcError) as no_model:
        stub.Tag(request(clip, model="mert"))
    assert no_model.value.code() == grpc.StatusCode.NOT_FOUND
    assert "demo" in no_model.value.details()


def test_refuses_a_message_that_is_larger_than_the_limit(tmp_path):
    with running_server(tmp_path, "--max_request_bytes=100000") as server, server.channel() as channel:
        with pytest.raises(grpc.RpcError) as refused:
            tagging_pb2_grpc.TaggingServiceStub(channel).Tag(request(bytes(100001)))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_holds_no_memory_of_calls_that_were_given_up(server, stub, melody):
    samples, rate = melody
    track = encode(np.resize(samples, 120 * rate), rate)

    def give_up() -> None:
        with pytest.raises(grpc.RpcError) as error:
            stub.Tag(request(track), timeout=0.3)
        assert error.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)

    for _ in range(3):
        give_up()
    before = server.resident_mb()
    for _ in range(20):
        give_up()
    while server.metric("culturetag_pending_windows") > 0:
        pass
    assert server.resident_mb() < before + 30, "each held 11 MB of windows"


# --- How it is operated


def test_health_and_reflection_answer(server):
    with server.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            assert health.Check(health_pb2.HealthCheckRequest(service=service)).status == (
                health_pb2.HealthCheckResponse.SERVING
            )
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = reflection.ServerReflectionInfo(iter([ask]))
        names = {service.name for service in answer.list_services_response.service}
        assert names >= {SERVICE, "grpc.health.v1.Health"}
        for name in names:  # gRPC lists its own services without descriptors, by which grpcurl would call them
            ask = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
            (answer,) = reflection.ServerReflectionInfo(iter([ask]))
            assert answer.file_descriptor_response.file_descriptor_proto, name


def test_metrics_and_probes_answer(server, stub, melody):
    samples, rate = melody
    before = server.metric("culturetag_windows_total")
    stub.Tag(request(encode(samples[: 10 * rate], rate)))
    assert server.metric("culturetag_windows_total") == before + 2
    assert server.metric("culturetag_pending_windows") == 0
    assert 'culturetag_model_info{backbone="' in server.http("/metrics")
    assert server.http("/healthz") == "ok\n"
    assert server.http("/readyz") == "ready\n"


def test_sigterm_finishes_what_was_accepted_and_refuses_the_rest(tmp_path, melody):
    samples, rate = melody
    with (
        running_server(tmp_path, "--drain_delay=1s") as server,
        server.channel() as channel,
        ThreadPoolExecutor(4) as threads,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        health = health_pb2_grpc.HealthStub(channel)
        long_clip = encode(np.resize(samples, 60 * rate), rate)
        accepted = [threads.submit(stub.Tag, request(long_clip)) for _ in range(4)]
        while server.metric("culturetag_pending_windows") < 24:
            pass
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert stub.Tag(request(encode(samples[:rate], rate))).heads, "accepted during --drain_delay"
        assert all(call.result().heads for call in accepted)
        server.process.wait(timeout=60)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--bundle is missing"),
        (["--bundle=nowhere"], "bundle nowhere: no manifest.json"),
        ([f"--bundle={BUNDLE}", "--device=tpu"], "no such device: 'tpu'"),
        ([f"--bundle={BUNDLE}", "--listen=300.0.0.1:1"], "--listen=300.0.0.1:1"),
        ([f"--bundle={BUNDLE}", "--max_queue_delay=1h"], "--max_queue_delay must be"),
        ([f"--bundle={BUNDLE}", "stray"], "unexpected argument"),
        ([f"--bundle={BUNDLE},{BUNDLE}"], "two bundles have the name 'demo'"),
    ],
)
def test_says_what_is_wrong_with_its_flags(flags, message):
    listen = [] if any(flag.startswith("--listen") for flag in flags) else ["--listen=127.0.0.1:0"]
    run = subprocess.run(
        [ROOT / "build/release/bin/culturetag-server", "--metrics_listen=", *listen, *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode in (1, 2)
    assert message in run.stderr


# --- The command line client


def run_client(server, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess:
    client = ROOT / "build/release/bin/culturetag"
    return subprocess.run([client, *arguments, f"--server={server.address}"], capture_output=True, input=stdin, timeout=120)


def test_the_client_tags_files_and_reports_those_that_fail(server, melody, tmp_path: Path):
    samples, rate = melody
    good, bad = tmp_path / "güzel ezgi.flac", tmp_path / "bad.wav"
    good.write_bytes(encode(samples, rate, "FLAC"))
    bad.write_bytes(b"RIFF")
    run = run_client(server, "tag", str(bad), str(good), "--json")
    assert run.returncode == 1
    first, second = json.load(io.BytesIO(run.stdout))
    assert first["error"]["code"] == "INVALID_ARGUMENT"
    assert second["file"] == str(good)
    assert {head["head"] for head in second["heads"]} == {"makam", "hindustani", "carnatic", "lyra", "fma", "mtat"}
    assert "bad.wav" in run.stderr.decode()
    assert run_client(server, "tag", str(good)).returncode == 0


def test_the_client_lists_the_models(server):
    run = run_client(server, "models")
    assert run.returncode == 0
    assert "demo" in run.stdout.decode()
