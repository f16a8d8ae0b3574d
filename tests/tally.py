# SPDX-License-Identifier: MIT
"""
Counts what `meson test` ran, case by case, and shows what failed.

	tests/tally.py BUILD=TESTLOG.json... [-]...

A program that prints TAP counts as its cases (cmocka with CMOCKA_MESSAGE_OUTPUT=TAP), any other as one. A case that
was planned and never reported is a failure. "-" is a build that could not be made, or a log that is not there:
one failure. The last line is "N passed, N failed" and ", N skipped" if there were any.
"""
import json
import os
import re
import sys

PLAN = re.compile(r'^1\.\.(\d+)')
CASE = re.compile(r'^(not )?ok\b(.*)')
CASE_OK = re.compile(r'ok |1\.\.')
SKIP = re.compile(r'# *skip', re.I) # cmocka says "not ok 3 # SKIP name"


def count(test):
	"""(passed, failed, skipped) of one program."""
	passed = failed = skipped = planned = 0
	for line in test.get('stdout', '').splitlines():
		plan, case = PLAN.match(line), CASE.match(line)
		if plan:
			planned += int(plan.group(1))
		elif case and SKIP.search(case.group(2)):
			skipped += 1
		elif case and case.group(1):
			failed += 1
		elif case:
			passed += 1
	failed += max(0, planned - passed - failed - skipped)
	ok = test['result'] in ('OK', 'EXPECTEDFAIL')
	if test['result'] == 'SKIP':
		skipped = max(1, skipped)
	elif passed + failed + skipped == 0:
		passed, failed = (1, 0) if ok else (0, 1)
	elif not ok and not failed:
		failed = 1
	return passed, failed, skipped


def main():
	total = [0, 0, 0]
	for arg in sys.argv[1:]:
		build, _, path = arg.partition('=')
		if not path or not os.path.exists(path):
			if path:
				print(f'FAIL: {build}: no test of this suite ran')
			total[1] += 1
			continue
		with open(path, encoding='utf-8') as log:
			tests = [json.loads(line) for line in log if line.strip()]
		for test in tests:
			counts = count(test)
			total = [a + b for a, b in zip(total, counts)]
			name = f'{build}, {test["name"]}'
			if counts[1]:
				status = f'{test["result"]}, exit status {test["returncode"]}'
				print(f'FAIL {name}: {counts[1]} of {sum(counts)}, {status}')
				output = test.get('stdout', '') + test.get('stderr', '')
				lines = [line for line in output.splitlines() if not CASE_OK.match(line)]
				print('\n'.join('     ' + line for line in lines[:40]))
				if len(lines) > 40:
					print(f'     and {len(lines) - 40} lines more in {path}')
			elif counts[2]:
				print(f'SKIP {name}: {counts[2]} of {sum(counts)}')
	closing = f'{total[0]} passed, {total[1]} failed'
	print(closing + (f', {total[2]} skipped' if total[2] else ''))
	sys.exit(1 if total[1] else 0)


main()
