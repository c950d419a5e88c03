"""What several modules do with files."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """The lower-case hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
