"""Adds the Python modules of the proto package `culturetag.v1` to what setuptools builds.

The protos lie beside this folder, in ../../proto, and what is generated from them stays out of version control: it goes
into the wheel, or beside `v1/__init__.py` where the package is installed as editable.
"""

from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc
from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
PROTO_ROOT = HERE.parents[1] / "proto"


def generate_protos(output: Path) -> None:
    """Writes culturetag/v1/*_pb2.py, *_pb2.pyi and *_pb2_grpc.py below `output`."""
    protos = sorted(str(path.relative_to(PROTO_ROOT)) for path in (PROTO_ROOT / "culturetag").rglob("*.proto"))
    if not protos:
        raise SystemExit(f"no protos in {PROTO_ROOT}: build the wheel in a clone of the whole repository")
    arguments = ["protoc", f"-I{PROTO_ROOT}", f"-I{files('grpc_tools') / '_proto'}"]
    arguments += [f"--python_out={output}", f"--pyi_out={output}", f"--grpc_python_out={output}", *protos]
    if protoc.main(arguments) != 0:
        raise SystemExit(f"protoc could not generate the modules of {PROTO_ROOT}")


class BuildWithProtos(build_py):
    def run(self) -> None:
        super().run()
        generate_protos(HERE / "src" if self.editable_mode else Path(self.build_lib))


setup(cmdclass={"build_py": BuildWithProtos})
