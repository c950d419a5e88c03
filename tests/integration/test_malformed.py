"""Damaged files of every format, over gRPC. `malformed.py` sends ten thousand of them; this is the short form."""

import malformed
from culturetag.v1 import tagging_pb2
from real_server import running_server

FILES = 2 * len(malformed.FORMATS) * len(malformed.DAMAGES)  # each damage of each format, twice


def test_damaged_files_are_tagged_or_refused_and_the_server_keeps_its_memory(tmp_path):
    with running_server(tmp_path, "--max_batch_windows=4") as server:
        report = malformed.run(server, FILES, samples=2)
        assert report.unexpected == []
        assert sum(report.answers.values()) == FILES
        # Both happen, to every kind of damage but the one that leaves no file whole.
        for damage in malformed.DAMAGES:
            codes = {code for (_, name, code), count in report.answers.items() if name == damage.__name__ and count}
            assert codes == {"OK", "INVALID_ARGUMENT"}, damage.__name__
        assert report.growth_mb() < malformed.MEMORY_ALLOWANCE_MB
        audio = tagging_pb2.Audio(encoded=malformed.clean_file(0))
        with server.channel() as channel:
            assert malformed.tagging_pb2_grpc.TaggingServiceStub(channel).Tag(tagging_pb2.TagRequest(audio=audio)).heads
