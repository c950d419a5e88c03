"""The generated modules of the proto package `culturetag.v1`: `tagging_pb2`, `tagging_pb2_grpc` and `bundle_pb2`.

For those who want the bare messages. `culturetag.Client` needs none of them.
"""
