#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What "make demo" runs, once sanbootd is built: see demo.py. DEMO_EXIT=1 ends it after the table instead of at Ctrl-C.
here=$(cd "$(dirname "$0")" && pwd)
parent=$PPID                                     # the demo ends when that does: make
set -- python3 -u "$here/demo.py" "$@"
[ "$(id -u)" = 0 ] && exec env DEMO_PARENT="$parent" "$@"
command -v sudo >/dev/null || { echo "make demo needs root (network namespace, virtual machines): run it as root, or install sudo" >&2; exit 1; }
exec sudo env E2E_BUILD="${E2E_BUILD:-}" DEMO_EXIT="${DEMO_EXIT:-}" MODE="${MODE:-release}" DEMO_PARENT="$parent" "$@"
