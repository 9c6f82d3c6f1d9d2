#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Turns a folder into a C table of its files (server/base/assets.h): embed.sh TABLE FOLDER > table.c
set -eu
table=$1 folder=$2
echo "/* Generated from $folder. */"
echo '#include "base/assets.h"'
n=0
files=$(find "$folder" -type f ! -name '*.md' ! -name '.*' | LC_ALL=C sort)
for f in $files; do
	echo "static const unsigned char file_${n}[] = {"
	od -An -v -tx1 "$f" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
	echo "0 };"
	n=$((n + 1))
done
echo "const struct asset ${table}[] = {"
n=0
for f in $files; do
	echo "	{ \"${f#"$folder"/}\", file_$n, sizeof(file_$n) - 1 },"
	n=$((n + 1))
done
echo "	{ 0, 0, 0 },"
echo "};"
