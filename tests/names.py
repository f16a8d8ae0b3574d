#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
lib/base/names.h and lib/host/names.h: the library's own functions under names that no kernel and no program has.

	tests/names.py [--write]

Compiles the core, without and with the contract build, and looks at its global symbols. Of the hosted layer, it reads what
the headers declare, since a machine may lack a library that a part of it needs. Without --write: are the names of the
headers those that there are?
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import csource # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PREFIX = 'ramka_core_'
DECLARED = re.compile(r'^(?!static\b|typedef\b|#)\w[\w ,*]*?\bhost_\w+(?=[(;[])', re.M) # up to the parameters
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


def hosted():
	"""The global functions and objects of the hosted layer that are not public."""
	found = set()
	for path in glob.glob(os.path.join(ROOT, 'lib', 'host', '*.h')):
		with open(path, encoding='utf-8') as f:
			code = csource.without_comments(f.read())
		for declared in DECLARED.findall(code):
			found.update(name for name in re.findall(r'(?<!struct )\bhost_\w+', declared))
	return found


def compare(header, prefix, needed, write):
	"""Brings a header up to date, or says what it lacks; is it up to date?"""
	path = os.path.join(ROOT, header)
	define = re.compile(rf'^#define (\w+) {prefix}\1\n', re.M)
	with open(path, encoding='utf-8') as f:
		old = f.read()
	there = set(define.findall(old))
	begin = define.search(old).start()
	new = old[:begin] + ''.join(f'#define {n} {prefix}{n}\n' for n in sorted(needed)) + define.sub('', old[begin:])
	if write:
		with open(path, 'w', encoding='utf-8') as f:
			f.write(new)
	elif new != old:
		for name in sorted(needed - there):
			print(f'{header} lacks {name}')
		for name in sorted(there - needed):
			print(f'{header} has {name}, which no source defines')
		return False
	return True


def main():
	if sys.argv[1:] not in ([], ['--write']):
		sys.exit('usage: tests/names.py [--write]')
	good = [compare('lib/base/names.h', PREFIX, functions(), sys.argv[1:]),
		compare('lib/host/names.h', 'ramka_own_', hosted(), sys.argv[1:])]
	if not all(good):
		print('to write it anew: tests/names.py --write')
		return 1
	return 0


if __name__ == '__main__':
	sys.exit(main())
