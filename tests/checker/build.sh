#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the checker: tests/checker/build.sh OUTDIR [CC]. The engine is compiled plainly; clients and the library's
# real sources with the checker's backend of atomic.h and with -fsanitize=thread, whose calls the engine answers (no
# runtime is linked).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
out=${1:?usage: build.sh OUTDIR [CC]}
cc=${2:-gcc} # its instrumentation is what tsan.c answers
mkdir -p "$out"
exec 7> "$out/lock" # several suites build it, side by side
flock 7
warn="-std=gnu11 -g -Wall -Wextra"
inst="-O1 -fno-builtin -fsanitize=thread -fno-tree-vectorize -DRAMKA_ATOMIC_BACKEND='\"backend.h\"' -DRAMKA_CHECKER=1 -DRAMKA_STRIPES=1 -DRING_SIZE=2u"
inst="$inst -Dmemset=ck_memset -Dmemcpy=ck_memcpy -Dmemmove=ck_memmove -Dmemcmp=ck_memcmp"
inst="$inst -I$here -I$top/include -I$top/lib"
objs=
mk=$out/build.mk
: > "$mk"
rule() { # object source flags
	printf '%s: %s\n\t%s %s %s -MMD -MP -c -o $@ %s\n' "$1" "$2" "$cc" "$warn" "$3" "$2" >> "$mk"
	printf -- '-include %s\n' "${1%.o}.d" >> "$mk"
	objs="$objs $1"
}
for f in sched memory tsan rcu runner matrix; do
	rule "$out/engine_$f.o" "$here/$f.c" "-O2 -D_GNU_SOURCE -DCK_REASONS='\"$here/matrix.txt\"'"
done
for f in "$here"/clients/*.c; do
	rule "$out/client_$(basename "$f" .c).o" "$f" "$inst"
done
for f in $(sh "$top/lib/sources.sh"); do
	rule "$out/lib_$(echo "${f%.c}" | tr / _).o" "$top/lib/$f" "$inst"
done
printf '%s: %s\n\t%s -rdynamic -o $@ $^ -ldl\n' "$out/checker" "$objs" "$cc" >> "$mk"
make -s -j"${JOBS:-2}" -f "$mk" "$out/checker"
