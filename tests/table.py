#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The table of tests/README.md: which suites look at which file of lib/.

	tests/table.py [--write]

A suite looks at a file if its sources name a function that is defined there: a public one that it calls, an internal one that
it tests, breaks (seeded), weakens (matrix) or mirrors (spin, litmus). Without --write: is the table as it should be?
"""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import csource # noqa: E402

PAGE = os.path.join(csource.ROOT, 'tests', 'README.md')
BEGIN, END = '<!-- table -->\n', '<!-- end of the table -->\n'
# column, folder or file
SUITES = (('unit', 'tests/unit'), ('model', 'tests/model'), ('misuse', 'tests/misuse'), ('host', 'tests/host'),
	  ('contracts', 'tests/contracts'), ('checker', 'tests/checker/clients'), ('matrix', 'tests/checker/matrix.txt'),
	  ('seeded', 'tests/seeded/bugs.py'), ('fuzz', 'tests/fuzz'), ('spin', 'tests/spin'), ('litmus', 'tests/litmus'),
	  ('proofs', 'tests/proofs'), ('stress', 'stress'))


def words(path):
	"""Every identifier of a file or of the sources below a folder."""
	full, found = os.path.join(csource.ROOT, path), set()
	names = [full] if os.path.isfile(full) else [os.path.join(folder, n) for folder, _, files in os.walk(full) for n in files
						      if n.endswith(('.c', '.h', '.hh', '.cc', '.pml', '.py'))]
	for name in names:
		with open(name, encoding='utf-8', errors='replace') as f:
			found.update(re.findall(r'\w+', f.read()))
	return found


def table():
	sources, functions = csource.Sources(), {}
	for d in sources.all():
		if d.path.startswith('lib/') and d.function:
			functions.setdefault(d.path, set()).add(d.name)
	named = [(name, words(path)) for name, path in SUITES]
	# a name that several files define tells nothing
	often = {n for n, found in sources.by_name.items() if len({d.path for d in found if d.function}) > 1}
	yield '| file | ' + ' | '.join(name for name, _ in named) + ' |'
	yield '|---|' + '---|' * len(named)
	for path in sorted(functions):
		own = functions[path] - often
		yield f'| {path} | ' + ' | '.join('x' if own & found else '' for _, found in named) + ' |'


def main():
	if sys.argv[1:] not in ([], ['--write']):
		sys.exit('usage: tests/table.py [--write]')
	with open(PAGE, encoding='utf-8') as f:
		page = f.read()
	head, rest = page.split(BEGIN)
	tail = rest.split(END)[1]
	new = head + BEGIN + '\n'.join(table()) + '\n' + END + tail
	if '--write' in sys.argv[1:]:
		with open(PAGE, 'w', encoding='utf-8') as f:
			f.write(new)
	elif new != page:
		print('the table of tests/README.md is not up to date: tests/table.py --write')
		return 1
	return 0


if __name__ == '__main__':
	sys.exit(main())
