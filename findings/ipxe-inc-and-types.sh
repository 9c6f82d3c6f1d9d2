#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# iPXE: counting with set and inc.
#
# One would guess: `set n 0` and `inc n` count, as in a shell; a value too large for its type is refused; a number is shown in decimal.
# What happens: `set n 0` makes a string, and inc cannot store into a string ("Operation not supported"): without || the script ends. A variable that was
# never set counts from 0 and is an int32 from then on, and so does `set n:int32 0`. `set n:uint16 70000` succeeds and is 0x1170, int8 127 + 1 is -128. Unsigned
# types are shown in hexadecimal, so `iseq ${n} 10` is false for a uint8 of 10. ${n:int32} of the string 7 is 55, its byte. 010 is octal.
# iPXE 1.0.0+git-20190125.36a4c85 (Debian 12), BIOS build, in QEMU; ipxe.org/cmd/inc, ipxe.org/cfg (setting types). As root or user.
# shellcheck disable=SC1091,SC2016
. "$(dirname "$(readlink -f "$0")")/lib.sh"

cat >script <<'S'
#!ipxe
set a 0
inc a && echo [a] ${a} || echo [a] fails
inc b && echo [b] ${b} || echo [b] fails
set c:int32 0
inc c && echo [c] ${c} || echo [c] fails
set d:uint16 70000 && echo [d] ${d} || echo [d] fails
set e:int8 127
inc e && echo [e] ${e} || echo [e] fails
set f:uint8 9
inc f && echo [f] ${f} || echo [f] fails
iseq ${f} 10 && echo [g] same || echo [g] differ
set h 7
echo [h] ${h:int32}
set i:int32 010
echo [i] ${i}
echo [end]
S
run_ipxe script -net none
shown() { sed -n "s/^\[$1\] //p" screen; }

saw "version" "1.0.0+git-20190125.36a4c85-5.1" "$(grep -o -m 1 '1.0.0+git-20190125.36a4c85-5.1' screen)"
saw "set a 0, inc a" "fails" "$(shown a)"
saw "why" 'Could not store "a": Operation not supported' "$(grep -m 1 -o 'Could not store "a": [a-zA-Z ]*[a-z]' screen)"
saw "inc b, never set" "1" "$(shown b)"
saw "set c:int32 0, inc c" "1" "$(shown c)"
saw "set d:uint16 70000" "0x1170" "$(shown d)"
saw "set e:int8 127, inc e" "-128" "$(shown e)"
saw "set f:uint8 9, inc f" "0xa" "$(shown f)"
saw "iseq of it and 10" "differ" "$(shown g)"
saw "set h 7, h:int32" "55" "$(shown h)"
saw "set i:int32 010" "8" "$(shown i)"
finish
