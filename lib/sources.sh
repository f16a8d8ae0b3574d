#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints the sources of the core, one a line, relative to lib/: the list `ramka_sources` of meson.build.
#
#	lib/sources.sh           the core
#	lib/sources.sh --host    the other sources below lib/: the hosted layer and what it stands on
#
# Compile them with include/ in the include path.

set -eu
cd "$(dirname "$0")"
core=$(sed -n "/^ramka_sources = files(/,/^)/s/^ *'\(.*\.c\)',/\1/p" meson.build)
case ${1:-} in
'') printf '%s\n' "$core" ;;
--host)
	find . -name '*.c' | sed 's,^\./,,' | LC_ALL=C sort | grep -vxF "$core" ;;
--help)
	sed -n '4,9s/^#\t\{0,1\} \{0,1\}//p' sources.sh ;;
*)
	sed -n '4,9s/^#\t\{0,1\} \{0,1\}//p' sources.sh >&2
	exit 2 ;;
esac
