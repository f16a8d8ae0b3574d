# SPDX-License-Identifier: MIT
"""
Finds things in the library's sources by what they are called, wherever they stand.

A definition is a function, a macro, or a struct, union or table at file scope: from the first line of its head to the
line that closes it. The sources keep the kernel's style, so a body opens with "{" at the end of a head or in column 1,
and closes with "}" in column 1.
"""
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPERATION = re.compile(r'\bramka_(load|store|cas|xchg|add|sub|or|and|xor)\s*\(')
MACRO = re.compile(r'#\s*define\s+(\w+)')
CALLED = re.compile(r'\b(\w+)\s*\(')
TAG = re.compile(r'\b(?:struct|union|enum)\s+(\w+)\s*(?:\{|$)')
TABLE = re.compile(r'\b(\w+)\s*(?:\[[^]]*\]\s*)*=\s*\{')


class Ambiguous(Exception):
	"""A name without a definition, or with several."""


class Definition:
	def __init__(self, name, path, start, text, function):
		self.name = name
		self.path = path        # relative to the root
		self.start = start      # where it begins in its file
		self.text = text
		self.function = function


def core_sources(root=ROOT):
	"""The sources of the core, as lib/meson.build lists them."""
	out = subprocess.run(['sh', os.path.join(root, 'lib', 'sources.sh')], stdout=subprocess.PIPE, text=True, check=True)
	return [os.path.join('lib', name) for name in out.stdout.split()]


def files(root=ROOT, trees=('lib', 'include')):
	"""Every .c and .h below the trees."""
	for tree in trees:
		for folder, below, names in os.walk(os.path.join(root, tree)):
			below.sort()
			for name in sorted(names):
				if name.endswith(('.c', '.h')):
					yield os.path.relpath(os.path.join(folder, name), root)


def without_comments(text):
	"""The same lines and columns, with comments and the insides of strings blank."""
	def blank(match):
		piece = match.group(0)
		if piece[0] in '"\'':
			return piece[0] + ' ' * (len(piece) - 2) + piece[0]
		return re.sub(r'[^\n]', ' ', piece)
	return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


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
			args.append((begin, i))
			begin = i + 1
			if c == ')':
				return args
	return []


def operations(code):
	"""(position, operation, (begin, end) of the order, order, pair) of each atomic operation in code without comments."""
	for match in OPERATION.finditer(code):
		args = arguments(code, match.end())
		if len(args) >= 3:
			(begin, end), pair = args[-2], args[-1]
			yield match.start(), match.group(1), (begin, end), code[begin:end].strip(), ''.join(code[slice(*pair)].split())


def name_of(head):
	"""What a head (all before the body) defines: (name, is it a function)."""
	flat = re.sub(r'__attribute__\s*\(\(.*?\)\)', '', ' '.join(head.split()))
	table, tag = TABLE.search(flat + ' {'), TAG.search(flat)
	if '=' in flat:
		return (table.group(1), False) if table else (None, False)
	called = CALLED.search(flat)
	if called and not flat.startswith(('typedef', 'extern "C"')):
		return called.group(1), True
	return (tag.group(1), False) if tag else (None, False)


def definitions_in(path, text):
	code = without_comments(text)
	lines, at = code.split('\n'), 0
	positions = []
	for line in lines:
		positions.append(at)
		at += len(line) + 1
	head = i = 0
	while i < len(lines):
		line = lines[i]
		macro = MACRO.match(line)
		if line.startswith('#'):
			first = i
			while lines[i].endswith('\\') and i + 1 < len(lines):
				i += 1
			if macro:
				yield Definition(macro.group(1), path, positions[first], text[positions[first]:positions[i] + len(lines[i])], False)
			head = i + 1
		elif line.rstrip().endswith('{') and not line[:1].isspace():
			name, function = name_of('\n'.join(lines[head:i]) + ' ' + line.rstrip()[:-1])
			first = head
			while i + 1 < len(lines) and not lines[i].startswith('}'):
				i += 1
			if name:
				while not lines[first].strip():
					first += 1
				yield Definition(name, path, positions[first], text[positions[first]:positions[i] + len(lines[i])], function)
			head = i + 1
		elif line.rstrip().endswith((';', '}')) and not line[:1].isspace() or not line.strip() and i == head:
			head = i + 1
		elif line.rstrip().endswith(';'):
			head = i + 1 # the end of a declaration of several lines
		i += 1


class Sources:
	"""All definitions of lib/ and include/."""

	def __init__(self, root=ROOT):
		self.texts = {}
		self.by_name = {}
		for path in files(root):
			with open(os.path.join(root, path), encoding='utf-8') as f:
				self.texts[path] = f.read()
			for d in definitions_in(path, self.texts[path]):
				self.by_name.setdefault(d.name, []).append(d)

	def all(self):
		for found in self.by_name.values():
			yield from found

	def find(self, key):
		"""
		The definition that a key names: "NAME", or "NAME beside OTHER", which is in the same file. A function goes
		before a macro or a struct of its name.
		"""
		name, _, other = key.partition(' beside ')
		found = self.by_name.get(name, [])
		found = [d for d in found if d.function] or found
		if other:
			found = [d for d in found if any(o.path == d.path for o in self.by_name.get(other, []))]
		if len(found) == 1:
			return found[0]
		where = ', '.join(d.path for d in found)
		raise Ambiguous(f'"{key}" is defined in {len(found)} places ({where}): say "{name} beside OTHER", a name of its file'
				if found else f'nothing in lib or include defines "{key}"')


# ---- edits ----

class Weaken:
	"""The order of one atomic operation of a function; `number` counts those that are alike, from the function's top."""

	def __init__(self, function, pair, operation, order, to, number=0):
		self.function, self.pair, self.operation, self.order, self.to, self.number = function, pair, operation, order, to, number

	def place(self, text):
		"""(begin, end, new text) in the text of the function."""
		alike = [o for o in operations(without_comments(text))
			 if (o[1], o[3], o[4]) == (self.operation, self.order, self.pair)]
		what = f'ramka_{self.operation}(.., {self.order}, {self.pair})'
		if not alike or self.number > len(alike):
			raise Ambiguous(f'{self.function} has {len(alike)} {what}, not {self.number or 1}')
		if len(alike) > 1 and not self.number:
			raise Ambiguous(f'{self.function} has {len(alike)} {what}: give the number of one')
		begin, end = alike[max(self.number, 1) - 1][2]
		return begin + text[begin:end].index(self.order), end, self.to


class Replace:
	"""A text that a definition has once."""

	def __init__(self, function, old, new):
		self.function, self.old, self.new = function, old, new

	def place(self, text):
		found = text.count(self.old)
		if found != 1:
			raise Ambiguous(f'this is {found} times in {self.function}, not once:\n{self.old}')
		begin = text.index(self.old)
		return begin, begin + len(self.old), self.new


def edited(sources, edits):
	"""{path: the text of the file with the edits}. Each is looked for in the sources as they are."""
	places = {}
	for edit in edits:
		d = sources.find(edit.function)
		begin, end, new = edit.place(d.text)
		places.setdefault(d.path, []).append((d.start + begin, d.start + end, new))
	texts = {}
	for path, found in places.items():
		texts[path] = text = sources.texts[path]
		last = len(text)
		for begin, end, new in sorted(found, reverse=True):
			if end > last:
				raise Ambiguous(f'two edits of {path} overlap')
			texts[path] = texts[path][:begin] + new + texts[path][end:]
			last = begin
	return texts
