# SPDX-License-Identifier: MIT
#
# How a runner counts. To be sourced by tests/*/run and stress/run (bash).
#
#	expect N [WHAT]            N results more must come; a result that never comes is a failure
#	ok NAME [TEXT]             one result each, printed as a line "ok   NAME: TEXT"
#	fail NAME [TEXT]
#	skip NAME REASON           tests/run lists these at the end
#	result STATUS NAME [TEXT]  ok if the status is 0; else a failure, with the text below it
#	check NAME COMMAND...      the same of a command, whose output is the text
#	worker STATUS FILE N NAME  prints what a part wrote and counts the lines that begin with "ok ", "FAIL " and "SKIP ": if
#	                           there are not N of them, or the part ended with another status than 0 and counts no failure,
#	                           that is a failure of its own
#	tallied STATUS FILE N NAME the same, of lines that were printed already
#	counted STATUS FILE N NAME the same of a part that counts: its last line is a closing line, and says what it counted
#	command_line "$@"          for a runner whose options are --build DIR and --help. Sets build to that folder, else to one
#	                           of its own, which goes if no result failed
#	finish                     the closing line "N passed, N failed[, N skipped]" and the exit status
#
# A runner that ends in any other way than by `finish` says so and fails: an early exit is never green. Without `expect`
# a run with no result at all is a failure.

results_passed=0
results_failed=0
results_skipped=0
results_expected=
results_done=

results_line() # word, name, text
{
	printf '%-4s %s%s\n' "$1" "$2" "${3:+: $3}"
}

expect()
{
	if ! [[ ${1:-} =~ ^[0-9]+$ ]] || [ "$1" = 0 ]; then
		fail "${2:-the plan}" "\"${1:-}\" results are expected; something that lists them does not work"
		return
	fi
	results_expected=$((${results_expected:-0} + $1))
}

ok()
{
	results_line ok "$@"
	results_passed=$((results_passed + 1))
}

fail()
{
	results_line FAIL "$@"
	results_failed=$((results_failed + 1))
}

skip()
{
	results_line SKIP "$1" "${2:-no reason is given}"
	results_skipped=$((results_skipped + 1))
}

result()
{
	if [ "$1" = 0 ]; then
		ok "$2"
	else
		fail "$2"
		[ -z "${3:-}" ] || tail -n 30 <<< "$3" | sed 's/^/     /'
	fi
}

check()
{
	local name=$1 output

	shift
	output=$("$@" 2>&1)
	result $? "$name" "$output"
}

# Lines of a part's output that begin with a word.
results_in() # file, word
{
	grep -ac "^$2 " "$1" 2> /dev/null || true
}

worker()
{
	[ ! -f "$2" ] || cat "$2"
	tallied "$@"
}

tallied()
{
	local status=$1 file=$2 n=$3 name=$4 p f s

	p=$(results_in "$file" ok) f=$(results_in "$file" FAIL) s=$(results_in "$file" SKIP)
	p=${p:-0} f=${f:-0} s=${s:-0}
	results_passed=$((results_passed + p))
	results_failed=$((results_failed + f))
	results_skipped=$((results_skipped + s))
	if [ $((p + f + s)) != "$n" ]; then
		fail "$name" "$n results are expected, $((p + f + s)) came (exit status $status)"
	elif [ "$status" != 0 ] && [ "$f" = 0 ]; then
		fail "$name" "exit status $status, though no result failed"
	fi
}

counted()
{
	local status=$1 file=$2 n=$3 name=$4 last

	last=$(tail -n 1 "$file" 2> /dev/null)
	if ! [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
		fail "$name" "it ended without \"N passed, N failed\" (exit status $status)"
		return
	fi
	local p=${BASH_REMATCH[1]} f=${BASH_REMATCH[2]} s=${BASH_REMATCH[4]:-0}
	results_passed=$((results_passed + p))
	results_failed=$((results_failed + f))
	results_skipped=$((results_skipped + s))
	if [ $((p + f + s)) -lt "$n" ]; then
		fail "$name" "$n results are expected, $((p + f + s)) came (exit status $status)"
	elif [ "$status" != 0 ] && [ "$f" = 0 ]; then
		fail "$name" "exit status $status, though no result failed"
	fi
}

results_close()
{
	local came=$((results_passed + results_failed + results_skipped))

	if [ -n "$results_expected" ] && [ "$came" -lt "$results_expected" ]; then
		results_line FAIL "results are missing" "$results_expected are expected, $came came"
		results_failed=$((results_failed + results_expected - came))
	elif [ -n "$results_expected" ] && [ "$came" != "$results_expected" ] && [ "$results_failed" = 0 ]; then
		results_line FAIL "more results than expected" "$results_expected are expected, $came came"
		results_failed=1
	elif [ "$came" = 0 ]; then
		results_line FAIL "nothing was run"
		results_failed=1
	fi
	printf '%d passed, %d failed' "$results_passed" "$results_failed"
	[ "$results_skipped" = 0 ] || printf ', %d skipped' "$results_skipped"
	echo
	[ "$results_failed" = 0 ]
}

finish()
{
	results_done=yes
	results_close
	exit
}

results_exit() # the trap
{
	local status=$1

	# 2: wrong usage, said already; a subshell has its parent's trap and is not the runner
	if [ -z "$results_done" ] && [ "$status" != 2 ] && [ "$BASHPID" = "$$" ]; then
		fail "the runner ended early" "exit status $status"
		results_close
		exit 1
	fi
}

# at_exit COMMAND: a runner that cleans up says it here, since the trap is taken
results_cleanup=
at_exit()
{
	results_cleanup=$1
}
trap 'results_status=$?; eval "$results_cleanup"; results_exit $results_status' EXIT

command_line()
{
	local name=${0#"$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"/}

	build=
	while [ $# -gt 0 ]; do
		case $1 in
		--build=*) build=${1#*=} ;;
		--build)
			[ $# -gt 1 ] || { echo "$name: --build needs a value; see --help" >&2; exit 2; }
			build=$2
			shift ;;
		--help)
			sed -n '4,/^$/s/^#\t\{0,1\} \{0,1\}//p' "$0"
			results_done=yes
			exit 0 ;;
		*)
			echo "$name: unknown option \"$1\"; see --help" >&2
			exit 2 ;;
		esac
		shift
	done
	if [ -n "$build" ]; then
		mkdir -p "$build" 2> /dev/null && [ -w "$build" ] && build=$(cd "$build" && pwd) || {
			echo "$name: --build: cannot write to $build" >&2
			exit 2
		}
	else
		build=$(mktemp -d "${TMPDIR:-/tmp}/ramka-tests.XXXXXX") || exit 2
		at_exit '[ "$results_failed" != 0 ] || rm -rf "$build"'
	fi
}
