#!/usr/bin/env bash
# Prints the path of this machine's Chromium: the program that CHROMIUM names, or the first that is found.
# With --install, and as root on Debian or Ubuntu, installs the system's package if there is none.
# Exit codes: 0 found; 1 CHROMIUM names no program; 77 not found, with the reason.
set -euo pipefail

find_chromium() {
  command -v chromium || command -v chromium-browser || command -v google-chrome
}

apt_install() {
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium
}

if [ -n "${CHROMIUM:-}" ]; then
  command -v "$CHROMIUM" && exit
  echo "CHROMIUM=$CHROMIUM is not a program." >&2
  exit 1
fi
find_chromium && exit
if [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt_install >&2 || echo "apt-get could not install chromium; see above." >&2
  find_chromium && exit
fi
echo "No chromium, chromium-browser or google-chrome was found. Install one, or name it: CHROMIUM=/path/to/it" >&2
exit 77
