#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
lib/base/names.h: the core's own functions under names that no kernel has.

	tests/names.py [--write]

Compiles the core, without and with the contract build, and looks at its global symbols. Without --write: are the
names of the header the functions that there are?
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEADER = os.path.join(ROOT, 'lib', 'base', 'names.h')
PREFIX = 'ramka_core_'
LINE = re.compile(rf'^#define (\w+) {PREFIX}\1\n', re.M)
BUILDS = ((), ('-DRAMKA_CONTRACTS',))


def functions():
	"""The core's functions that are global and not public."""
	listed = subprocess.run(['sh', 'lib/sources.sh'], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
	found = set()
	for flags in BUILDS:
		with tempfile.TemporaryDirectory() as folder:
			subprocess.run(['gcc', '-std=c11', '-O0', '-w', '-ffreestanding', f'-I{ROOT}/include', *flags,
					'-c', *(f'{ROOT}/lib/{path}' for path in listed)], cwd=folder, check=True)
			objects = sorted(os.listdir(folder))
			if len(objects) != len(listed):
				sys.exit('two sources of the core have one name')
			symbols = subprocess.run(['nm', '-g', '--defined-only', *objects], cwd=folder, check=True, capture_output=True,
						 text=True).stdout
		for line in symbols.splitlines():
			name = line.split()[-1] if line else ''
			if name.startswith(PREFIX):
				found.add(name[len(PREFIX):])
			elif name and not name.startswith('ramka_') and not name.endswith(':'):
				found.add(name)
	return found


def main():
	if sys.argv[1:] not in ([], ['--write']):
		sys.exit('usage: tests/names.py [--write]')
	with open(HEADER, encoding='utf-8') as f:
		old = f.read()
	there, needed = set(LINE.findall(old)), functions()
	begin = LINE.search(old).start()
	new = old[:begin] + ''.join(f'#define {n} {PREFIX}{n}\n' for n in sorted(needed)) + LINE.sub('', old[begin:])
	if sys.argv[1:]:
		with open(HEADER, 'w', encoding='utf-8') as f:
			f.write(new)
	elif new != old:
		for name in sorted(needed - there):
			print(f'lib/base/names.h lacks {name}')
		for name in sorted(there - needed):
			print(f'lib/base/names.h has {name}, which no source defines')
		print('to write it anew: tests/names.py --write')
		return 1
	return 0


if __name__ == '__main__':
	sys.exit(main())
