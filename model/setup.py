"""Generates the Python modules of proto/ before setuptools looks for packages.

The schema of the bundle's manifest is shared with the C++ server, so it lives beside this folder, in ../proto, and the
generated package `culturetag` stays out of version control.
"""

from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc
from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
PROTO_ROOT = HERE.parent / "proto"


def generate_protos() -> None:
    """Writes culturetag/v1/*_pb2.py and *_pb2_grpc.py beside this file."""
    protos = sorted(str(path.relative_to(PROTO_ROOT)) for path in (PROTO_ROOT / "culturetag").rglob("*.proto"))
    well_known_types = files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{PROTO_ROOT}", f"-I{well_known_types}"]
    arguments += [f"--python_out={HERE}", f"--pyi_out={HERE}", f"--grpc_python_out={HERE}", *protos]
    if not protos or protoc.main(arguments) != 0:
        raise SystemExit(f"protoc could not generate the modules of {PROTO_ROOT}")
    for package in ("culturetag", "culturetag/v1"):
        (HERE / package / "__init__.py").touch()


generate_protos()
setup(packages=find_packages(include=["culturetag", "culturetag.*", "culturetag_model", "culturetag_model.*"]))
