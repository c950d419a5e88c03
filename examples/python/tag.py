"""Tags audio files with a culturetag server and prints one line a tag: file, head, label and score, separated by tabs.

With --stream it uploads the files in chunks and prints each window's tags as soon as they are scored. Exits with 1 if a
file failed, after the others have been tagged.
"""

import argparse
import sys
from collections.abc import Mapping

from culturetag import Client, CultureTagError, Tag, TagOptions


def print_heads(name: str, heads: Mapping[str, tuple[Tag, ...]]) -> None:
    for head, tags in heads.items():
        for tag in tags:
            print(name, head, tag.label, f"{tag.score:.4f}", sep="\t")


def tag_file(client: Client, path: str, options: TagOptions, *, stream: bool) -> None:
    if not stream:
        print_heads(path, client.tag(path, **options).heads)
        return
    windows = client.tag_stream(path, **options)
    for window in windows:
        print_heads(f"{path}@{window.start:.0f}s", window.heads)
    print_heads(path, windows.result().heads)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--server", default="localhost:50051", metavar="HOST:PORT")
    parser.add_argument("--heads", default="", help="names, separated by commas; default: all")
    parser.add_argument("--top-k", type=int, default=5, help="the most tags for each head; 0: all")
    parser.add_argument("--stream", action="store_true", help="upload in chunks, and print each window")
    arguments = parser.parse_args()

    options: TagOptions = {"top_k": arguments.top_k}
    if arguments.heads:
        options["heads"] = arguments.heads.split(",")
    failed = False
    with Client(arguments.server) as client:
        for path in arguments.files:
            try:
                tag_file(client, path, options, stream=arguments.stream)
            except (CultureTagError, OSError) as error:
                print(f"{path}: {error}", file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
