#!/usr/bin/env bash
# Prints a TagRequest for one audio file in its JSON form, which ghz and k6 send.
#
#     load/request.sh FILE [HEADS] > request.json       HEADS: names, separated by commas; default: all
set -euo pipefail
file=$1 heads=${2:-}

base64 -w0 "$file" |
  jq --raw-input --slurp --arg heads "$heads" '{audio: {encoded: .}, heads: ($heads / ","), top_k: 5}'
