#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The rules of the source that no compiler knows.

	tests/lint/lint.py [ROOT]
	tests/lint/lint.py --mirrors      writes the hashes anew: once the models say again what the sources do

Prints "file:line: rule: what is wrong" for each breach and exits 1 if there was one. Rules:

	order       a memory order, an atomic, volatile, a fence or inline assembly in lib/ or include/, outside
	            include/ramka/atomic.h; but for the assembly of lib/base/clear.c
	pair        an atomic operation whose pair has no row in docs/ordering.md
	unused      a row of docs/ordering.md that no operation names
	table       a row of docs/ordering.md that is there twice or has not six cells
	one-sided   a pair with a release side and no acquire side, or the reverse
	relaxed     a pair that only relaxed operations name is not marked so in its row, or a marked one is ordered
	spdx        no SPDX line at the top
	length      a function of more than 75 lines in lib/
	columns     a line of more than 110 columns in lib and include, 160 elsewhere (tabs to 8; not in Python)
	blanks      blanks at the end of a line, or no newline at the end of the file
	twice       a name at file scope of a file of the core (function, object, type, tag, enumerator, macro) that another file
	            of the core has as well, or a macro of a .c file whose name another file uses for anything: all of it compiles
	            as one unit (tools/amalgamate)
	seeded      a seeded bug whose text or order is not in the function that it names
	matrix      an order of the core that tests/checker/matrix.txt has no line for, or a line that names none
	mirror      a model of tests/litmus or tests/spin that names no function which it mirrors, or one whose text is
	            another than when the model was last compared with it ("mirrors: FUNCTION sha256:HASH")
	tested      a row of docs/ordering.md that names other clients than tests/checker/matrix.txt has for the pair, or other
	            models than those of tests/litmus that weaken it ("weakens PAIR: BUG_X BUG_Y", each of which is run)
	words       a word that says that something is unfinished
	storey      an #include of lib/ that leads to a higher storey than the file's own: base zone rcu cpu frame inspect setup host
	cited       a file, a page of docs/ or a heading that is cited and does not exist: links of pages, a page and
	            the headings in quotes behind it, paths that begin with a folder of the project, and FILE.h in comments of lib/ and include/
	sentence    a line of docs/*.md or README.md that holds two sentences, or that ends within one
	english     a sentence of lib/, include/, docs/ or README.md whose subject is no thing: one of the words in NO_THING
	reading     a header of lib/, or a .c file of the core without one, that docs/architecture.md does not name
	uses        a header of the core, or a .c file without one, whose head does not say "May use", with the files of its own
	            storey that it and its .c file include, no other ones, and none that comes later in docs/architecture.md
	contexts    a public function that docs/contexts.md does not name: whole, as _SUFFIX behind one of its kind, or as PREFIX*
	states      a public function that takes a frame, an owner's handle, a segment, a cursor or an address `pa`, and has no row in
	            the matrix of tests/misuse/test_states.c; or takes a list, and is not named there; or that no client of the
	            checker calls
	unbuilt     a program of a suite, SUITE/test_NAME.c, that tests/meson.build does not name
	picture     a picture of docs/pictures that is not what the text beside it says, or the one of the storeys without a file
"""
import hashlib
import os
import re
import runpy
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
import csource # noqa: E402

MAX_COLUMNS = 110      # in lib and include
MAX_COLUMNS_ELSEWHERE = 160  # not in Python, where tables of data stand
MAX_FUNCTION = 75
TREES = ('lib', 'include', 'tests', 'bench', 'stress', 'examples', 'docs', '.ci', '.')
FIXTURES = os.path.join('tests', 'lint', 'fixtures')
SOURCES = ('.c', '.h', '.cc', '.S', '.py', '.sh', '.pml', '.ld', '.map', '.supp')
SOURCE_NAMES = ('run', 'Makefile', 'Kbuild', 'meson.build', 'meson_options.txt', 'init')
TEXTS = ('.md',)
ATOMICS = os.path.join('include', 'ramka', 'atomic.h')
CLEAR = os.path.join('lib', 'base', 'clear.c')
HOST = os.path.join('lib', 'host') + os.sep
TABLE = os.path.join('docs', 'ordering.md')
BUGS = os.path.join('tests', 'seeded', 'bugs.py')
MATRIX = os.path.join('tests', 'checker', 'matrix.txt')
MODELS = ((os.path.join('tests', 'litmus'), '.c'), (os.path.join('tests', 'spin'), '.pml'))
MIRROR = re.compile(r'^( \* mirrors: )(\w+(?: beside \w+)?)( sha256:)(\w*)$', re.M)
WEAKENS = re.compile(r'^ \* weakens (\S+): (.*)$', re.M)
# no client compiles them
NOT_IN_MATRIX = re.compile(r'lib/host/|.*/contracts\.c$|include/')

FORBIDDEN = re.compile(
	r'\b(__ATOMIC_\w+|memory_order\w*|__atomic_\w+|__sync_\w+|_Atomic|atomic_\w+|stdatomic|volatile|'
	r'\w*fence\w*|\w*smp_[rw]?mb\w*|cmm_\w+|uatomic_\w+|ck_pr_\w+|__asm__|asm|RAMKA_(?:ORDER|FAIL|BACKEND)_\w+)\b')
ORDERS = ('relaxed', 'acquire', 'release', 'acq_rel')
STOREYS = ('base', 'zone', 'rcu', 'cpu', 'frame', 'inspect', 'setup', 'host')
MAP = os.path.join('docs', 'architecture.md')
CONTEXTS = os.path.join('docs', 'contexts.md')
PICTURES = os.path.join('docs', 'pictures')
STATES = os.path.join('tests', 'misuse', 'test_states.c')
CLIENTS = os.path.join('tests', 'checker', 'clients')
# begins on one line and may end on the next, of a comment too
NO_THING = re.compile(r'\b((?:no|some|any|every)body|(?:some|any|every)one|no one|whoever|for(?:\s|\n\s*\*\s)+ever|to(?:\s|\n\s*\*\s)+be(?:\s|\n\s*\*\s)+had)\b', re.I)
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


def line_of(text, position):
	return text.count('\n', 0, position) + 1


# ---- memory orders and pairs ----

def check_orders(path, code):
	for match in FORBIDDEN.finditer(code):
		if path == CLEAR and match.group(1) in ('__asm__', 'volatile'):
			continue
		yield line_of(code, match.start()), 'order', f'"{match.group(1)}" belongs into {ATOMICS} only'


def operations(code):
	"""(line, operation, order, pair) of each atomic operation."""
	for position, operation, _, order, pair in csource.operations(code):
		yield line_of(code, position), operation, order, pair


class Table:
	"""The rows of docs/ordering.md: | `pair` | release side, or "relaxed" | acquire side | three more cells |"""
	def __init__(self):
		self.rows = {} # pair -> (line, is it marked relaxed)
		self.tests = {} # pair -> the last cell

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
			self.tests[pair] = cells[-1]


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


# ---- what the tests change in the sources ----

def check_bugs(root, sources):
	if not os.path.exists(os.path.join(root, BUGS)):
		return
	for bug in runpy.run_path(os.path.join(root, BUGS))['BUGS']:
		try:
			csource.edited(sources, bug['edits'])
		except csource.Ambiguous as e:
			with open(os.path.join(root, BUGS), encoding='utf-8') as f:
				text = f.read()
			yield BUGS, line_of(text, text.find(f"bug('{bug['name']}'")), 'seeded', f'{bug["name"]}: ' + ' '.join(str(e).split())


def halves(operation, order):
	"""What can be weakened in it, as the checker says it."""
	acquires, releases = order in ('acquire', 'acq_rel'), order in ('release', 'acq_rel')
	return (['acquire'] if acquires and operation != 'store' else []) + (['release'] if releases and operation != 'load' else []) + (
		['failure'] if acquires and operation == 'cas' else [])


def orders_of(sources):
	"""{key: (path, line)} of each order of the core: "FUNCTION PAIR OPERATION ORDER [NUMBER] HALF"."""
	keys = {}
	for function in sources.all():
		if NOT_IN_MATRIX.match(function.path) or not function.function:
			continue
		found = list(csource.operations(csource.without_comments(function.text)))
		alike = [(operation, order, pair) for _, operation, _, order, pair in found]
		for i, (position, operation, _, order, pair) in enumerate(found):
			same = alike.count(alike[i])
			number = f' {alike[:i + 1].count(alike[i])}' if same > 1 else ''
			line = line_of(sources.texts[function.path], function.start + position)
			for half in halves(operation, order):
				keys[f'{function.name} {pair} {operation} {order}{number} {half}'] = function.path, line
	return keys


def check_matrix(root, sources):
	if not os.path.exists(os.path.join(root, MATRIX)):
		return
	keys, listed = orders_of(sources), set()
	with open(os.path.join(root, MATRIX), encoding='utf-8') as f:
		for number, line in enumerate(f, 1):
			key = line.split(': ')[0]
			if line.strip() and not line.startswith('#'):
				listed.add(key)
				if key not in keys:
					yield MATRIX, number, 'matrix', f'the sources have no order "{key}"'
	for key, (path, line) in keys.items():
		if key not in listed:
			yield path, line, 'matrix', f'{MATRIX} has no line "{key}"'


# ---- models ----

def models(root):
	"""Every model, relative to root."""
	for tree, end in MODELS:
		folder = os.path.join(root, tree)
		for name in sorted(os.listdir(folder) if os.path.isdir(folder) else ()):
			if name.endswith(end):
				yield os.path.join(tree, name)


def hash_of(definition):
	"""Of what it does, from its name on: comments, blanks and what stands before the name do not count."""
	code = csource.without_comments(definition.text)
	code = code[re.search(rf'\b{definition.name}\b', code).start():]
	return hashlib.sha256(' '.join(re.findall(r'\w+|\S', code)).encode()).hexdigest()[:8]


def check_mirrors(root, sources):
	for path in models(root):
		with open(os.path.join(root, path), encoding='utf-8') as f:
			text = f.read()
		found = list(MIRROR.finditer(text))
		if not found:
			yield path, 1, 'mirror', 'names no function that it mirrors'
		for match in found:
			line = line_of(text, match.start(2))
			try:
				new = hash_of(sources.find(match.group(2)))
			except csource.Ambiguous as e:
				yield path, line, 'mirror', str(e)
				continue
			if new != match.group(4):
				yield path, line, 'mirror', (f'{match.group(2)} has changed: does the model still say what it does? '
							     'Then run tests/lint/lint.py --mirrors')


def noticed(root):
	"""What notices when an order of a pair is weakened: (pair, client or "litmus MODEL")."""
	if os.path.exists(os.path.join(root, MATRIX)):
		with open(os.path.join(root, MATRIX), encoding='utf-8') as f:
			for line in f:
				key, _, client = line.strip().partition(': ')
				if client and not line.startswith('#') and not client.startswith('- '):
					yield key.split()[1], client
	for path in models(root):
		with open(os.path.join(root, path), encoding='utf-8') as f:
			for pair in WEAKENS.findall(f.read()):
				yield pair[0], f'litmus {os.path.basename(path)[:-2]}'


def check_tested(root, table):
	found = {}
	for pair, test in noticed(root):
		found.setdefault(pair, set()).add(test)
	for pair, (line, relaxed) in table.rows.items():
		cell = table.tests[pair]
		named = set(re.findall(r'`(\w+)`', cell)) | set(re.findall(r'litmus \w+', cell))
		if relaxed or cell.startswith('not '): # the text below the table says why
			named = set()
		for test in sorted(named - found.get(pair, set())):
			yield TABLE, line, 'tested', f'"{test}" is named, but weakens no order of "{pair}"'
		for test in sorted(found.get(pair, set()) - named):
			yield TABLE, line, 'tested', f'"{test}" notices, and is not named'
	for path in models(root):
		with open(os.path.join(root, path), encoding='utf-8') as f:
			text = f.read()
		for match in WEAKENS.finditer(text):
			for bug in match.group(2).split():
				if not re.search(rf'^ \* litmus: \d+ {bug}( race)?$', text, re.M):
					yield path, line_of(text, match.start()), 'tested', f'{bug} is run by no row'


def write_mirrors(root):
	sources = csource.Sources(root)
	for path in models(root):
		full = os.path.join(root, path)
		with open(full, encoding='utf-8') as f:
			text = f.read()

		def anew(match):
			new = hash_of(sources.find(match.group(2)))
			if new != match.group(4):
				print(f'{path}: {match.group(2)}')
			return f'{match.group(1)}{match.group(2)}{match.group(3)}{new}'
		with open(full, 'w', encoding='utf-8') as f:
			f.write(MIRROR.sub(anew, text))


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


# ---- the storeys ----

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)


def check_storeys(path, text):
	parts = path.split(os.sep)
	if len(parts) < 3:
		return
	if parts[1] not in STOREYS:
		yield 1, 'storey', f'lib/{parts[1]} is no storey'
		return
	for match in INCLUDE.finditer(text):
		target = os.path.normpath(os.path.join(os.path.dirname(path), match.group(1))).split(os.sep)
		line = line_of(text, match.start(1))
		if target[0] != 'lib' or len(target) < 3 or target[1] not in STOREYS:
			yield line, 'storey', f'"{match.group(1)}" is in no storey'
		elif STOREYS.index(target[1]) > STOREYS.index(parts[1]):
			yield line, 'storey', f'{target[1]} is above {parts[1]}'


# ---- what is cited ----

LINK = re.compile(r'\]\(([^)\s]+)\)')
CITED_PAGE = re.compile(r'\bdocs/[\w-]+\.md\b((?:,(?:\s|\n[ \t]*[*#]?[ \t]*)*"[^"\n]+")*)')
CITED_FILE = re.compile(r'(?<![\w./$}{-])((?:lib|include|tests|bench|tools|examples|stress|docs)/[\w./-]*\w\.(?:c|h|hh|cc|py|md|txt|pml|sh|svg|png))\b')
SOURCE_FILE = re.compile(r'(?<![\w./<"-])(?!sys/)((?:\w+/)*\w+\.[ch])\b')
COMMENT = re.compile(r'/\*.*?\*/', re.S)


def headings(root, page):
	"""The headings of a page."""
	with open(os.path.join(root, page), encoding='utf-8') as f:
		text = re.sub(r'^```.*?^```', '', f.read(), flags=re.M | re.S)
	return re.findall(r'^#+ (.*)$', text, re.M)


def anchor(heading):
	return re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')


class Cited:
	"""What is cited anywhere in the project."""
	def __init__(self, root):
		self.root = root
		self.paths = ['/' + p for p in files(root) if p.startswith(('lib', 'include', 'tests')) and p.endswith(('.c', '.h'))]

	def exists(self, path):
		return os.path.exists(os.path.join(self.root, path))

	def link(self, path, target):
		target, _, name = target.partition('#')
		page = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
		if not self.exists(page):
			return f'there is no {page}'
		if name and page.endswith('.md') and name not in [anchor(h) for h in headings(self.root, page)]:
			return f'{page} has no heading "#{name}"'
		return None

	def page(self, cited, names):
		if not self.exists(cited):
			return f'there is no {cited}'
		known = headings(self.root, cited)
		for name in re.findall(r'"([^"]+)"', names):
			if name not in known:
				return f'{cited} has no heading "{name}"'
		return None

	def check(self, path, text):
		if path.endswith(TEXTS):
			for match in LINK.finditer(re.sub(r'`[^`\n]*`', lambda m: ' ' * len(m.group(0)), text)):
				wrong = '://' not in match.group(1) and self.link(path, match.group(1))
				if wrong:
					yield line_of(text, match.start()), 'cited', wrong
		for match in CITED_PAGE.finditer(text):
			wrong = self.page(match.group(0)[:len(match.group(0)) - len(match.group(1))], match.group(1))
			if wrong:
				yield line_of(text, match.start()), 'cited', wrong
		for match in CITED_FILE.finditer(text):
			if not match.group(1).startswith('docs/') and not self.exists(match.group(1)):
				yield line_of(text, match.start()), 'cited', f'there is no {match.group(1)}'
		if is_core(path):
			for comment in COMMENT.finditer(text):
				for match in SOURCE_FILE.finditer(comment.group(0)):
					if not any(p.endswith('/' + match.group(1)) for p in self.paths):
						yield line_of(text, comment.start() + match.start()), 'cited', f'there is no {match.group(1)}'


# ---- pages ----

ITEM = re.compile(r'\s*(?:[*-]|\d+\.) +')
TWO_SENTENCES = re.compile(r'(?<![ .(][a-z])(?<!etc)[.!?][)"*`_]* +(?=["*`(]*(?:[A-Z`\[]|ramka\b))')
ENDED = re.compile(r'[.!?:][)"*`_]*$')


def prose(text):
	"""(line, text) of each line of a page that is no table, code, heading or markup."""
	code = False
	for number, line in enumerate(text.split('\n'), 1):
		if line.lstrip().startswith('```'):
			code = not code
			yield number, ''
		elif code or re.match(r'\s*[|#<]|    \S|!\[|---', line) and not ITEM.match(line):
			yield number, ''
		else:
			yield number, line


def check_sentences(text):
	lines = list(prose(text))
	for (number, line), (_, below) in zip(lines, [*lines[1:], (0, '')]):
		if TWO_SENTENCES.search(ITEM.sub('', line, count=1)):
			yield number, 'sentence', 'two sentences on a line'
		goes_on = below.strip() and not ITEM.match(below)
		if line.strip() and goes_on and not ENDED.search(line.rstrip()) and not line.endswith('·'):
			yield number, 'sentence', 'a sentence goes on in the next line'


def check_english(text):
	for match in NO_THING.finditer(text):
		yield line_of(text, match.start()), 'english', f'"{" ".join(match.group(1).replace("*", " ").split())}"'


def check_reading(root):
	if not os.path.exists(os.path.join(root, MAP)):
		return
	with open(os.path.join(root, MAP), encoding='utf-8') as f:
		named = set(re.findall(r'`(lib/\w+/\w+\.[ch])`', f.read()))
	for path in csource.files(root, ('lib',)):
		header = os.path.exists(os.path.join(root, path[:-1] + 'h'))
		if path not in named and (path.endswith('.h') or not header) and not path.startswith(HOST):
			yield path, 1, 'reading', f'{MAP} does not name it'


USES = re.compile(r'\bMay use\b((?:[^.]|\.(?=\w))*)\.')


def uses(root, path):
	"""What the head of a file names behind "May use", None if it does not say so; and what it and its .c file include. Own storey."""
	own, texts = os.path.basename(path)[:-1] + 'h', []
	for each in dict.fromkeys((path, path[:-1] + 'c')):
		if os.path.exists(os.path.join(root, each)):
			with open(os.path.join(root, each), encoding='utf-8') as f:
				texts.append(f.read())
	included = {name for text in texts for name in INCLUDE.findall(text) if '/' not in name} - {own, 'names.h'}
	comments = COMMENT.findall(texts[0])
	said = USES.search(re.sub(r'\s*\n \*\s*', ' ', comments[1])) if len(comments) > 1 else None
	return said and set(re.findall(r'(?<![\w/])\w+\.h\b', said.group(1))), included


def check_uses(root):
	if not os.path.exists(os.path.join(root, MAP)):
		return
	with open(os.path.join(root, MAP), encoding='utf-8') as f:
		order = re.findall(r'`(lib/\w+/\w+\.[ch])`', f.read())
	for path in csource.files(root, ('lib',)):
		header = path.endswith('.c') and os.path.exists(os.path.join(root, path[:-1] + 'h'))
		if header or path.startswith(HOST) or os.path.basename(path) == 'names.h' or not path.endswith(('.c', '.h')):
			continue
		named, included = uses(root, path)
		if named is None:
			yield path, 1, 'uses', 'its head does not say "May use"'
			continue
		for name in sorted(named ^ included):
			yield path, 1, 'uses', f'{name} is included and not named' if name in included else f'{name} is named and not included'
		for name in sorted(named & included):
			other = os.path.join(os.path.dirname(path), name)
			if other in order and path in order and order.index(other) > order.index(path):
				yield path, 1, 'uses', f'{name} comes later in {MAP}'


PUBLIC = re.compile(r'^RAMKA_API\b[^;{(]*?\b(ramka_\w+)\s*\(', re.M)


def check_contexts(root):
	if not os.path.exists(os.path.join(root, CONTEXTS)):
		return
	named, starts = set(), ()
	with open(os.path.join(root, CONTEXTS), encoding='utf-8') as f:
		for line in f:
			kind = ''
			for word, star in re.findall(r'`(\w+)(\*?)', line):
				kind = '_'.join(word.split('_')[:2]) if word.startswith('ramka_') else kind
				word = word if word.startswith('ramka_') else kind + word
				named.add(word)
				starts += (word,) if star else ()
	for path in csource.files(root, (os.path.join('include', 'ramka'),)):
		with open(os.path.join(root, path), encoding='utf-8') as f:
			code = csource.without_comments(f.read())
		for match in PUBLIC.finditer(code):
			name = match.group(1)
			if name.removesuffix('_why') not in named and name not in named and not name.startswith(starts or ' '):
				yield path, line_of(code, match.start(1)), 'contexts', f'{CONTEXTS} does not name {name}'


PROTOTYPE = re.compile(r'^RAMKA_API\b[^;{(]*?\b(ramka_\w+)\s*\(([^;]*)\);', re.M)
SUBJECT = re.compile(r'\bstruct ramka_(frame|frame_ref|unique|segment|cursor|list)\b[ *]*(?!ret_)\w+$|\bramka_paddr_t pa$')


def check_states(root):
	if not os.path.exists(os.path.join(root, STATES)):
		return
	with open(os.path.join(root, STATES), encoding='utf-8') as f:
		matrix = f.read()
	clients = ''
	for path in csource.files(root, (CLIENTS,)):
		with open(os.path.join(root, path), encoding='utf-8') as f:
			clients += csource.without_comments(f.read())
	for path in csource.files(root, (os.path.join('include', 'ramka'),)):
		with open(os.path.join(root, path), encoding='utf-8') as f:
			code = csource.without_comments(f.read())
		for match in PROTOTYPE.finditer(code):
			name, parameters = match.group(1), [' '.join(each.split()) for each in match.group(2).split(',')]
			kinds = {found.group(1) for found in map(SUBJECT.search, parameters) if found}
			if kinds and not re.search(rf'\b{name}\(' if kinds == {'list'} else rf'\bROW\({name},', matrix):
				yield path, line_of(code, match.start(1)), 'states', f'{STATES} has no row for {name}'
			if kinds and not re.search(rf'\b{name}\(', clients):
				yield path, line_of(code, match.start(1)), 'states', f'no client of {CLIENTS} calls {name}'


def check_built(root):
	path = os.path.join(root, 'tests', 'meson.build')
	if not os.path.exists(path):
		return
	with open(path, encoding='utf-8') as f:
		suites = dict(re.findall(r"^  '(\w+)' : \[(.*?)\]", f.read(), re.M | re.S))
	for suite, names in suites.items():
		for path in csource.files(root, (os.path.join('tests', suite),)):
			name = re.fullmatch(r'test_(\w+)\.c', os.path.basename(path))
			if name and f"'{name.group(1)}'" not in names:
				yield path, 1, 'unbuilt', 'tests/meson.build does not name it'


def check_pictures(root):
	if not os.path.exists(os.path.join(root, PICTURES)):
		return
	for name, new in runpy.run_path(os.path.join(csource.ROOT, PICTURES, 'draw.py'))['pictures'](os.path.join(root, PICTURES)):
		path = os.path.join(PICTURES, name + '.svg')
		old = None
		if os.path.exists(os.path.join(root, path)):
			with open(os.path.join(root, path), encoding='utf-8') as f:
				old = f.read()
		if old != new:
			yield path, 1, 'picture', f'{name}.txt says something else: docs/pictures/draw.py --write'
	path = os.path.join(PICTURES, 'storeys.txt')
	if not os.path.exists(os.path.join(root, path)):
		return
	with open(os.path.join(root, path), encoding='utf-8') as f:
		boxes = {name: set(re.findall(r'\w+', text)) for name, text in re.findall(r'^box storey (\w+)[\d ]*: (.*)', f.read(), re.M)}
	for unit in sorted({each[:-2] for each in csource.files(root, ('lib',)) if not each.startswith(HOST)}):
		_, *storey, name = unit.split(os.sep)
		if storey and name not in boxes.get(storey[0], ()):
			yield path, 1, 'picture', f'{unit} is in no box'


# ---- one name, one place ----

MACRO = re.compile(r'^[ \t]*#[ \t]*define[ \t]+(\w+)', re.M)
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.M)
ATTRIBUTE = re.compile(r'__attribute__\s*\(\(.*?\)\)', re.S)
TAG = re.compile(r'\b(?:struct|union|enum)\s+(\w+)\s*\{')
ENUM = re.compile(r'\benum\b[^;{}()]*\{([^}]*)\}')
ENUMERATOR = re.compile(r'(?:^|,)\s*(\w+)', re.S)
DECLARED = re.compile(r'(\w+)\s*(?:\[[^]]*\]\s*)*(?:=|$)|\(\s*\*\s*(\w+)\s*\)\s*\(') # an object or a type; a pointer to a function


def blanked(match):
	return re.sub(r'[^\n]', ' ', match.group(0))


def flat_scope(code):
	"""The code with all that stands in braces blank: what is left is at file scope. extern "C" does not count as a brace."""
	code = re.sub(r'\bextern "[^"]*"\s*\{', blanked, code)
	depth, out = 0, []
	for c in code:
		depth -= c == '}'
		out.append(c if depth <= 0 or c == '\n' else ' ')
		depth += c == '{'
	return ''.join(out)


def declared(code):
	"""(position, name, is it a tag) of each name that a file without directives defines at file scope."""
	for match in TAG.finditer(code):
		yield match.start(1), match.group(1), True
	for match in ENUM.finditer(code):
		for each in ENUMERATOR.finditer(re.sub(r'\([^()]*\)', blanked, match.group(1))):
			yield match.start(1) + each.start(1), each.group(1), False
	flat, start = flat_scope(code), 0
	for end in re.finditer(r'[;}]', flat):
		if end.group() == '}' and not re.search(r'\)\s*\{\s*$', flat[start:end.start()]):
			continue # of a type or an initialiser: the declaration goes on
		yield from declared_in(flat[start:end.start()], start)
		start = end.end()


def declared_in(text, at):
	"""The name that one declaration defines. Functions that are not static and mere declarations define none here."""
	head = re.sub(r'\{[^{}]*\}', blanked, text).rstrip(' \n{')
	if not head.strip() or re.match(r'\s*(extern|_Static_assert)\b', head):
		return
	called = re.search(r'\b(\w+)\s*\((?!\s*\*)', head)
	if called and not head.lstrip().startswith('typedef') and '=' not in head[:called.start()]:
		if re.match(r'\s*static\b', head) and text.rstrip().endswith('{'):
			yield at + called.start(1), called.group(1), False
		return
	name = DECLARED.search(head)
	if name and not re.fullmatch(r'\s*(struct|union|enum)\s+\w+\s*', head):
		found = 1 if name.group(1) else 2
		yield at + name.start(found), name.group(found), False


class Names:
	"""What the files of the core define at file scope: name -> {path: line}. Tags have a space of their own."""
	def __init__(self):
		self.tags, self.others, self.macros = {}, {}, {}
		self.words = {} # path -> {word: line of its first use}

	def add(self, path, code):
		plain = DIRECTIVE.sub(blanked, ATTRIBUTE.sub(blanked, code))
		for match in MACRO.finditer(code):
			self.macros.setdefault(match.group(1), {}).setdefault(path, line_of(code, match.start(1)))
		for position, name, tag in declared(plain):
			(self.tags if tag else self.others).setdefault(name, {}).setdefault(path, line_of(code, position))
		words = self.words[path] = {}
		for match in re.finditer(r'\b[A-Za-z_]\w*', code):
			words.setdefault(match.group(0), match.start())
		self.words[path] = {word: line_of(code, at) for word, at in words.items()}

	def check(self):
		breaches = {}
		for kind in (self.tags, self.others, self.macros):
			for name, places in kind.items():
				(first, _), *others = sorted(places.items())
				for path, line in others:
					breaches[path, line, name] = f'{first} has a "{name}" too'
		for name, places in self.macros.items():
			for place in sorted(places):
				self.check_macro(name, place, breaches)
		for (path, line, _), what in sorted(breaches.items()):
			yield path, line, 'twice', what

	def check_macro(self, name, place, breaches):
		"""A macro of a .c file is that file's own; one of a header may be used, but nothing else may be called so."""
		for path, words in self.words.items():
			if path == place or path in self.macros[name]:
				continue
			defined = self.tags.get(name, {}).get(path) or self.others.get(name, {}).get(path)
			line = defined or (place.endswith('.c') and words.get(name))
			if line:
				breaches.setdefault((path, line, name), f'"{name}" is a macro of {place}')


def lint(root):
	"""Every breach: (path, line, rule, text)."""
	pairs, table, names, cited = Pairs(), Table(), Names(), Cited(root)
	for path in files(root):
		if not is_source(path) and not path.endswith(TEXTS):
			continue
		with open(os.path.join(root, path), encoding='utf-8') as f:
			text = f.read()
		found = list(check_text(path, text)) + list(cited.check(path, text))
		if path == 'README.md' or path.startswith('docs') and path.endswith('.md'):
			found += check_sentences(text)
		if path.startswith(('lib', 'include', 'docs', 'README.md')):
			found += check_english(text)
		if path == TABLE:
			found += table.read(text)
		if is_core(path):
			code = csource.without_comments(text)
			if path.startswith('lib'):
				found += check_functions(code)
				found += check_storeys(path, text)
				if not path.startswith(HOST) and os.path.basename(path) != 'names.h':
					names.add(path, code)
			if path != ATOMICS:
				found += check_orders(path, code)
				found += pairs.add(path, code)
		for line, rule, what in found:
			yield path, line, rule, what
	yield from pairs.check(table.rows)
	yield from names.check()
	sources = csource.Sources(root)
	yield from check_bugs(root, sources)
	yield from check_matrix(root, sources)
	yield from check_mirrors(root, sources)
	yield from check_tested(root, table)
	yield from check_reading(root)
	yield from check_uses(root)
	yield from check_contexts(root)
	yield from check_states(root)
	yield from check_built(root)
	yield from check_pictures(root)


def main():
	args = sys.argv[1:]
	root = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
	if args == ['--mirrors']:
		write_mirrors(root)
		return
	if len(args) > 1 or args and args[0].startswith('-'):
		sys.exit('usage: tests/lint/lint.py [ROOT | --mirrors]')
	breaches = sorted(lint(os.path.normpath(args[0]) if args else root))
	for path, line, rule, what in breaches:
		print(f'{path}:{line}: {rule}: {what}')
	sys.exit(1 if breaches else 0)


if __name__ == '__main__':
	main()
