# shellcheck shell=bash
# What the scripts of this folder share. To be sourced by bash; it changes to the repository's root.
set -euo pipefail
# shellcheck disable=SC2034 # for scripts that take paths
readonly CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n==> %s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# as_root COMMAND...: runs it as root, through sudo when the caller isn't.
as_root() {
  if [ "$EUID" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "\`$*\` needs root: run it as root, or install sudo"
  fi
}

# with_retry COMMAND...: runs a command that downloads; once more if it fails, for a failure of the network is often gone
# a moment later.
with_retry() {
  "$@" && return
  say "That failed, perhaps for want of the network; trying once more in 5 s: $*"
  sleep 5
  "$@" || die "failed twice: \`$*\`. Its error stands above. Is the network (or its proxy) up?"
}
