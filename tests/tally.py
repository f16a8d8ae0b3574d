# SPDX-License-Identifier: MIT
"""
Counts what `meson test` ran, case by case, and shows what failed.

	tests/tally.py SUITE [BUILD FOLDER STATUS]...

FOLDER is a build; STATUS is the exit status of `meson test --suite ramka:SUITE --logbase SUITE` there, or "-" if the build
could not be made, which is one failure. What must come is known beforehand: the programs of the suite from `meson
introspect`, the cases of a program that prints TAP (cmocka with CMOCKA_MESSAGE_OUTPUT=TAP, tests/host) from its plan. A
program that was never run, a case that was never reported, a plan of nothing and a program that says nothing are
failures. The last line is "N passed, N failed" and ", N skipped" if there were any; each skip has a line "SKIP ..".
"""
import json
import os
import re
import subprocess
import sys

PLAN = re.compile(r'^1\.\.(\d+)')
CASE = re.compile(r'^(not )?ok\b( \d+)?(.*)')
CASE_OK = re.compile(r'ok |1\.\.')
SKIP = re.compile(r'# *skip *(.*)', re.I) # cmocka says "not ok 3 # SKIP name"
TAP = 'CMOCKA_MESSAGE_OUTPUT'


def planned_programs(folder, suite):
	"""{name as the log has it: does it print TAP}"""
	out = subprocess.run(['meson', 'introspect', '--tests', folder], stdout=subprocess.PIPE, check=True, text=True).stdout
	return {f'ramka:{suite} / {test["name"]}': TAP in test['env'] for test in json.loads(out) if f'ramka:{suite}' in test['suite']}


def read_log(path):
	"""(tests in a log of meson, how many lines are cut off or garbled)"""
	tests, broken = [], 0
	if os.path.exists(path):
		with open(path, encoding='utf-8', errors='replace') as log:
			for line in log:
				try:
					tests.append(json.loads(line))
				except ValueError:
					print(f'FAIL {path} has a line that is not JSON: {line[:80].strip()}')
					broken += 1
	return tests, broken


def count(test, tap):
	"""(passed, failed, what was skipped, what is wrong beside) of one program."""
	passed = failed = 0
	skipped, wrong, due, numbers = [], [], [], []
	output = test.get('stdout', '')
	for line in output.splitlines():
		plan, case = PLAN.match(line), CASE.match(line) if tap else None
		skip = SKIP.search(case.group(3)) if case else None
		if case:
			numbers.append(int(case.group(2) or 0))
		if plan and tap:
			due.extend(range(1, int(plan.group(1)) + 1)) # each group of a program has a plan
		elif skip:
			skipped.append(' '.join((case.group(3)[:skip.start()].strip(' -') + ' ' + skip.group(1)).split()))
		elif case and case.group(1):
			failed += 1
		elif case:
			passed += 1
	planned, came = len(due), passed + failed + len(skipped)
	if tap and not planned:
		wrong.append('it planned no case')
	elif came != planned:
		wrong.append(f'{planned} cases were planned, {came} came')
	elif sorted(numbers) != sorted(due):
		wrong.append('one case came twice, and another never')
	if not output.strip():
		wrong.append('it said nothing')
	if test['result'] == 'SKIP':
		skipped = skipped or ['the program']
	elif test['result'] not in ('OK', 'EXPECTEDFAIL'):
		if not failed:
			wrong.append('it failed as a whole')
	elif not tap and not wrong:
		passed = 1
	return passed, failed + len(wrong), skipped, wrong


def show(name, test, counts, path):
	passed, failed, skipped, wrong = counts
	for what in skipped:
		print(f'SKIP {name}: {what}')
	if not failed:
		return
	status = f'{test["result"]}, exit status {test.get("returncode")}'
	print(f'FAIL {name}: {failed} of {passed + failed + len(skipped)}, {status}' + ''.join(f'; {w}' for w in wrong))
	output = test.get('stdout', '') + test.get('stderr', '')
	lines = [line for line in output.splitlines() if not CASE_OK.match(line)]
	print('\n'.join('     ' + line for line in lines[:40]))
	if len(lines) > 40:
		print(f'     and {len(lines) - 40} lines more in {path}')


def tally(suite, build, folder, status):
	"""[passed, failed, skipped] of one build"""
	path = os.path.join(folder, 'meson-logs', f'{suite}.json')
	planned, seen = planned_programs(folder, suite), set()
	tests, broken = read_log(path)
	total = [0, broken, 0]
	for test in tests:
		name = test['name']
		if name not in planned or name in seen:
			print(f'FAIL {build}, {name}: ran {"twice" if name in seen else "and was not planned"}')
			total[1] += 1
			continue
		seen.add(name)
		counts = count(test, planned[name])
		total = [a + b for a, b in zip(total, (counts[0], counts[1], len(counts[2])))]
		show(f'{build}, {name}', test, counts, path)
	for name in sorted(set(planned) - seen):
		print(f'FAIL {build}, {name}: never ran, or its result is lost')
		total[1] += 1
	if not planned:
		print(f'FAIL {build}: the suite {suite} has no programs')
		total[1] += 1
	if status != '0' and not total[1]:
		print(f'FAIL {build}: meson test ended with status {status}, though nothing failed')
		total[1] += 1
	return total


def main():
	suite, total = sys.argv[1], [0, 0, 0]
	for build, folder, status in zip(*[iter(sys.argv[2:])] * 3):
		counts = [0, 1, 0] if status == '-' else tally(suite, build, folder, status)
		total = [a + b for a, b in zip(total, counts)]
	closing = f'{total[0]} passed, {total[1]} failed'
	print(closing + (f', {total[2]} skipped' if total[2] else ''))
	sys.exit(1 if total[1] or not total[0] else 0)


main()
