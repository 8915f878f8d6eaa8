#!/usr/bin/env bash
# Prints the path of this machine's Chromium: what CHROMIUM names, or else the first that is found.
# With --install, root on a Debian-like machine gets the system's package first.
# Exit codes: 0 found; 1 CHROMIUM names no program; 77 there is none, with the reason.
set -euo pipefail

find_chromium() {
  command -v chromium || command -v chromium-browser || command -v google-chrome
}

apt_install() {
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium
}

if [ -n "${CHROMIUM:-}" ]; then
  command -v "$CHROMIUM" && exit
  echo "CHROMIUM=$CHROMIUM is no program." >&2
  exit 1
fi
find_chromium && exit
if [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt_install >&2 || echo "apt-get could not install chromium; see above." >&2
  find_chromium && exit
fi
echo "There is no chromium, chromium-browser or google-chrome here. Install one, or name it: CHROMIUM=/path/to/it" >&2
exit 77
