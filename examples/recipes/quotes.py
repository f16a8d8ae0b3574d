#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Is the code that docs/recipes.md and README.md print the code that is run?

	examples/recipes/quotes.py ROOT

Each piece of a ```c block (pieces are parted by empty lines outside functions) must stand as it is in the file that the line
above the block links to. In README.md a block is the whole file below its opening comments. Exits 1 if one does not, or if
there is none.
"""
import os
import re
import sys


def whole_files(root):
	"""The blocks of README.md: how many, and which are not the file that they name."""
	page = open(os.path.join(root, 'README.md'), encoding='utf-8').read()
	blocks = re.findall(r'^From \[([^\]]+)\][^\n]*:\n\n```c\n(.*?)```$', page, re.M | re.S)
	for path, code in blocks:
		source = open(os.path.join(root, path), encoding='utf-8').read()
		if code != source[source.index('#include'):]:
			yield f'README.md: the code is not that of {path}'
	if page.count('```c\n') != len(blocks) or not blocks:
		yield 'README.md: a block of code without "From [FILE](...):" above it, or no code'


def main():
	root = sys.argv[1]
	page = open(os.path.join(root, 'docs', 'recipes.md'), encoding='utf-8').read()
	checked, bad = 0, 0
	for match in re.finditer(r'^From \[([^\]]+)\][^\n]*:\n\n```c\n(.*?)```$', page, re.M | re.S):
		path, code = match.groups()
		source = open(os.path.join(root, path), encoding='utf-8').read()
		for piece in re.split(r'(?<=\n})\n\n', code.rstrip('\n')):
			checked += 1
			if piece not in source:
				bad += 1
				print(f'docs/recipes.md: this is not in {path}:\n{piece}\n')
	if page.count('```c\n') != len(re.findall(r'^From \[', page, re.M)):
		bad += 1
		print('docs/recipes.md: a block of code without "From [FILE](...):" above it')
	for what in whole_files(root):
		bad += 1
		print(what)
	print(f'{checked} pieces of code compared')
	sys.exit(1 if bad or not checked else 0)


if __name__ == '__main__':
	main()
