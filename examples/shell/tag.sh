#!/usr/bin/env bash
# Tags one audio file with nothing but `buf curl` and jq, and prints one line a tag: head, label and score, separated by
# tabs. The server describes itself by reflection, so that no proto is needed.
#
#     shell/tag.sh SERVER FILE [TOP_K]
set -euo pipefail
server=$1 file=$2 top_k=${3:-5}

# The file goes through a pipe: as an argument it would be too long.
base64 -w0 "$file" |
  jq --raw-input --slurp --argjson top_k "$top_k" '{audio: {encoded: .}, top_k: $top_k}' |
  buf curl --protocol grpc --http2-prior-knowledge --data @- "http://$server/culturetag.v1.TaggingService/Tag" |
  jq --raw-output '.heads[] | .head as $head | .tags[] | [$head, .label, (.score * 1e4 | round / 1e4)] | @tsv'
