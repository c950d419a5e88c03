"""How a client connects: credentials, retries, and the metadata of its calls."""

import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import grpc

MAX_ATTEMPTS = 5
"""gRPC doesn't make more."""

RETRY_BUFFER_BYTES = 64 << 20
"""gRPC retries only what it has kept, and by default it keeps no message above 256 KiB: less than a song. This holds
every clip that `tag` sends in one message, and bounds the memory of a stream whose first window is long in coming."""

Pem = str | os.PathLike[str] | bytes
"""A file's path, or what is in it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What the constructors of both clients take."""

    target: str
    client_id: str | None
    token: str | None
    tls: bool
    tls_ca: Pem | None
    tls_cert: Pem | None
    tls_key: Pem | None

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.client_id is not None and not _is_visible_ascii(self.client_id):
            raise ValueError("a client_id is visible ASCII")
        if self.token is not None and not _is_visible_ascii(self.token):
            raise ValueError("a token is visible ASCII; is there a line break at its end?")

    def credentials(self) -> grpc.ChannelCredentials | None:
        """None: plain text. Raises OSError where a file can't be read."""
        if not self.tls and self.tls_ca is None and self.tls_cert is None:
            return None
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.tls_ca),
            private_key=_read(self.tls_key),
            certificate_chain=_read(self.tls_cert),
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of every call."""
        pairs = []
        if self.client_id is not None:
            pairs.append(("x-client-id", self.client_id))
        if self.token is not None:
            pairs.append(("authorization", f"Bearer {self.token}"))
        return tuple(pairs)


def _is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def channel_options(max_attempts: int) -> list[tuple[str, str | int]]:
    """Raises ValueError for a number of attempts that gRPC doesn't make."""
    if not 1 <= max_attempts <= MAX_ATTEMPTS:
        raise ValueError(f"max_attempts is 1 to {MAX_ATTEMPTS}, not {max_attempts}")
    return [
        ("grpc.primary_user_agent", f"culturetag-python/{version('culturetag')}"),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.per_rpc_retry_buffer_size", RETRY_BUFFER_BYTES),
        ("grpc.enable_retries", int(max_attempts > 1)),
        ("grpc.service_config", _service_config(max_attempts)),
    ]


def _service_config(max_attempts: int) -> str:
    """Refusals that may pass are retried by gRPC itself, after the wait that the server asks for in
    `grpc-retry-pushback-ms` or else an exponential one.
    """
    retries = {
        "maxAttempts": max_attempts,
        "initialBackoff": "0.2s",
        "maxBackoff": "5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
    method = {"name": [{"service": "culturetag.v1.TaggingService"}]}
    return json.dumps({"methodConfig": [method | {"retryPolicy": retries} if max_attempts > 1 else method]})


def _read(pem: Pem | None) -> bytes | None:
    return pem if pem is None or isinstance(pem, bytes) else Path(pem).read_bytes()
