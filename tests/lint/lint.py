#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The rules of the source that no compiler knows.

	tests/lint/lint.py [ROOT]

Prints "file:line: rule: what is wrong" for each breach and exits 1 if there was one. Rules:

	order       a memory order, an atomic, volatile, a fence or inline assembly in lib/ or include/, outside
	            include/ramka/atomic.h
	pair        an atomic operation whose pair has no row in docs/ordering.md
	unused      a row of docs/ordering.md that no operation names
	table       a row of docs/ordering.md that is there twice or has not six cells
	one-sided   a pair with a release side and no acquire side, or the reverse
	relaxed     a pair that only relaxed operations name is not marked so in its row, or a marked one is ordered
	spdx        no SPDX line at the top
	length      a function of more than 75 lines in lib/
	columns     a line of more than 140 columns in lib and include, 160 elsewhere (tabs to 8; not in Python)
	blanks      blanks at the end of a line, or no newline at the end of the file
	words       a word that says that something is unfinished
"""
import os
import re
import sys

MAX_COLUMNS = 140      # in lib and include
MAX_COLUMNS_ELSEWHERE = 160  # not in Python, where tables of data stand
MAX_FUNCTION = 75
TREES = ('lib', 'include', 'tests', 'bench', 'stress', 'examples', 'docs', '.ci', '.')
FIXTURES = os.path.join('tests', 'lint', 'fixtures')
SOURCES = ('.c', '.h', '.cc', '.S', '.py', '.sh', '.pml', '.ld', '.map', '.supp')
SOURCE_NAMES = ('run', 'Makefile', 'Kbuild', 'meson.build', 'meson_options.txt', 'init')
TEXTS = ('.md',)
ATOMICS = os.path.join('include', 'ramka', 'atomic.h')
TABLE = os.path.join('docs', 'ordering.md')

FORBIDDEN = re.compile(
	r'\b(__ATOMIC_\w+|memory_order\w*|__atomic_\w+|__sync_\w+|_Atomic|atomic_\w+|stdatomic|volatile|'
	r'\w*fence\w*|\w*smp_[rw]?mb\w*|cmm_\w+|uatomic_\w+|ck_pr_\w+|__asm__|asm|RAMKA_(?:ORDER|FAIL|BACKEND)_\w+)\b')
OPERATION = re.compile(r'\bramka_(load|store|cas|xchg|add|sub|or|and|xor)\s*\(')
ORDERS = ('relaxed', 'acquire', 'release', 'acq_rel')
UNFINISHED = re.compile(r'\b(' + '|'.join(('TO' 'DO', 'FIX' 'ME', 'XX' 'X')) + r')\b')


def files(root):
	"""Every text file of the project, relative to root."""
	for tree in TREES:
		for folder, below, names in os.walk(os.path.join(root, tree)):
			below[:] = [] if tree == '.' else sorted(d for d in below if d != '__pycache__')
			for name in sorted(names):
				path = os.path.relpath(os.path.join(folder, name), root)
				if not path.startswith(FIXTURES):
					yield path


def is_source(path):
	name = os.path.basename(path)
	return name in SOURCE_NAMES or os.path.splitext(name)[1] in SOURCES


def is_core(path):
	return path.split(os.sep)[0] in ('lib', 'include') and path.endswith(('.c', '.h'))


def without_comments(text):
	"""The same lines and columns, with comments and the insides of strings blank."""
	def blank(match):
		piece = match.group(0)
		if piece[0] in '"\'':
			return piece[0] + ' ' * (len(piece) - 2) + piece[0]
		return re.sub(r'[^\n]', ' ', piece)
	return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def line_of(text, position):
	return text.count('\n', 0, position) + 1


def arguments(code, start):
	"""The arguments of a call, from behind its opening bracket."""
	args, depth, begin = [], 0, start
	for i in range(start, len(code)):
		c = code[i]
		if c in '([{':
			depth += 1
		elif c in ')]}' and depth:
			depth -= 1
		elif c == ')' or (c == ',' and not depth):
			args.append(' '.join(code[begin:i].split()))
			begin = i + 1
			if c == ')':
				break
	return args


# ---- memory orders and pairs ----

def check_orders(path, code):
	for match in FORBIDDEN.finditer(code):
		yield line_of(code, match.start()), 'order', f'"{match.group(1)}" belongs into {ATOMICS} only'


def operations(code):
	"""(line, operation, order, pair) of each atomic operation."""
	for match in OPERATION.finditer(code):
		args = arguments(code, match.end())
		if len(args) >= 3:
			yield line_of(code, match.start()), match.group(1), args[-2], args[-1]


class Table:
	"""The rows of docs/ordering.md: | `pair` | release side, or "relaxed" | acquire side | three more cells |"""
	def __init__(self):
		self.rows = {} # pair -> (line, is it marked relaxed)

	def read(self, text):
		for number, line in enumerate(text.splitlines(), 1):
			if not line.startswith('| `'):
				continue
			cells = [cell.strip() for cell in line.strip()[1:-1].split('|')]
			pair = cells[0].strip('`')
			if len(cells) != 6:
				yield number, 'table', f'{len(cells)} cells instead of 6'
			if pair in self.rows:
				yield number, 'table', f'"{pair}" has a row already'
			self.rows[pair] = (number, len(cells) > 1 and cells[1].startswith('relaxed'))


class Pairs:
	"""Which operations name which pair, over all files."""
	def __init__(self):
		self.uses = {} # pair -> [(path, line, operation, order)]

	def add(self, path, code):
		for line, operation, order, pair in operations(code):
			if order not in ORDERS:
				yield line, 'order', f'"{order}" is no order'
			self.uses.setdefault(pair, []).append((path, line, operation, order))

	def check(self, rows):
		for pair, uses in sorted(self.uses.items()):
			path, line = uses[0][:2]
			if pair not in rows:
				for path, line, *_ in uses:
					yield path, line, 'pair', f'"{pair}" has no row in {TABLE}'
				continue
			release = [u for u in uses if u[3] in ('release', 'acq_rel') and u[2] != 'load']
			acquire = [u for u in uses if u[3] in ('acquire', 'acq_rel') and u[2] != 'store']
			marked = rows[pair][1]
			if marked and (release or acquire):
				path, line = (release or acquire)[0][:2]
				yield path, line, 'relaxed', f'"{pair}" is marked relaxed in {TABLE}, and this orders'
			elif not marked and not release and not acquire:
				yield path, line, 'relaxed', f'"{pair}" is relaxed everywhere: say so in {TABLE}'
			elif release and not acquire:
				yield *release[0][:2], 'one-sided', f'"{pair}" has a release side and no acquire side'
			elif acquire and not release:
				yield *acquire[0][:2], 'one-sided', f'"{pair}" has an acquire side and no release side'
		for pair, (line, _) in sorted(rows.items()):
			if pair not in self.uses:
				yield TABLE, line, 'unused', f'no operation names "{pair}"'


# ---- style ----

def check_functions(code):
	"""Kernel style: a body opens with "{" in column 1 and ends with "}" there."""
	start = None
	for number, line in enumerate(code.splitlines(), 1):
		if line.startswith('{'):
			start = number
		elif line.startswith('}') and start:
			if number - start - 1 > MAX_FUNCTION:
				lines = number - start - 1
				yield start, 'length', f'{lines} lines in a function, {MAX_FUNCTION} are allowed'
			start = None


def check_text(path, text):
	source = is_source(path)
	allowed = MAX_COLUMNS if path.startswith(('lib/', 'include/')) else MAX_COLUMNS_ELSEWHERE
	lines = text.split('\n')
	if source and text and not any('SPDX-License-Identifier: MIT' in line for line in lines[:2]):
		yield 1, 'spdx', 'no "SPDX-License-Identifier: MIT" in the first line, or in the second below "#!"'
	if text and lines[-1]:
		yield len(lines), 'blanks', 'no newline at the end of the file'
	for number, line in enumerate(lines, 1):
		if line != line.rstrip():
			yield number, 'blanks', 'blanks at the end of the line'
		if source and not path.endswith('.py') and len(line.expandtabs(8)) > allowed:
			yield number, 'columns', f'{len(line.expandtabs(8))} columns, {allowed} are allowed'
		if UNFINISHED.search(line):
			yield number, 'words', f'"{UNFINISHED.search(line).group(1)}"'


def lint(root):
	"""Every breach: (path, line, rule, text)."""
	pairs, table = Pairs(), Table()
	for path in files(root):
		if not is_source(path) and not path.endswith(TEXTS):
			continue
		with open(os.path.join(root, path), encoding='utf-8') as f:
			text = f.read()
		found = list(check_text(path, text))
		if path == TABLE:
			found += table.read(text)
		if is_core(path):
			code = without_comments(text)
			if path.startswith('lib'):
				found += check_functions(code)
			if path != ATOMICS:
				found += check_orders(path, code)
				found += pairs.add(path, code)
		for line, rule, what in found:
			yield path, line, rule, what
	yield from pairs.check(table.rows)


def main():
	root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), '..', '..')
	breaches = sorted(lint(os.path.normpath(root)))
	for path, line, rule, what in breaches:
		print(f'{path}:{line}: {rule}: {what}')
	sys.exit(1 if breaches else 0)


if __name__ == '__main__':
	main()
