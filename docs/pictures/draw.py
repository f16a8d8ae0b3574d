#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Draws the pictures of docs/architecture.md from the text beside them.

	docs/pictures/draw.py [--write]

Each docs/pictures/NAME.txt becomes NAME.svg. Without --write: is each picture what its text says? A line of the text is

	size WIDTH HEIGHT
	box KIND ID X Y WIDTH HEIGHT: TITLE | LINE | LINE     KIND: storey, place, state, note, area (a frame around others)
	arrow FROM TO [DX DY]: LABEL | LINE                   between two boxes; the label is moved by DX, DY
	arrow FROM.SIDE+N TO.SIDE+N [DX DY]: LABEL            the side (l, r, t, b) and how far from its middle
	text X Y: LINE                                        words anywhere
	# comment
"""
import html
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FILL = {'storey': '#eef3fa', 'place': '#fdf6e3', 'state': '#e6f4ea', 'note': '#fdf6e3', 'area': '#ffffff'}
STROKE = {'storey': '#4a6fa5', 'place': '#b58900', 'state': '#2e7d32', 'note': '#b58900', 'area': '#999999'}
STYLE = ('text{font-family:"DejaVu Sans",Verdana,sans-serif;font-size:12px;fill:#222}'
	 '.title{font-weight:bold;font-size:13px}.label{font-size:11px;fill:#444}')
LINE_HEIGHT = 16


class Wrong(Exception):
	"""A line of the text that cannot be drawn."""


def words(x, y, lines, anchor, css=''):
	kind = f' class="{css}"' if css else ''
	return ''.join(f'<text x="{x:g}" y="{y + i * LINE_HEIGHT:g}" text-anchor="{anchor}"{kind}>{html.escape(line, False)}</text>\n'
		       for i, line in enumerate(lines))


class Box:
	def __init__(self, kind, place):
		self.kind, (self.x, self.y, self.w, self.h) = kind, place

	def middle(self):
		return self.x + self.w / 2, self.y + self.h / 2

	def at(self, side, along):
		x, y = self.middle()
		return {'l': (self.x, y + along), 'r': (self.x + self.w, y + along),
			't': (x + along, self.y), 'b': (x + along, self.y + self.h)}[side]

	def toward(self, other):
		"""The side that faces the other box."""
		(x, y), (ox, oy) = self.middle(), other.middle()
		if abs(ox - x) * (self.h + other.h) > abs(oy - y) * (self.w + other.w):
			return 'r' if ox > x else 'l'
		return 'b' if oy > y else 't'

	def draw(self, lines):
		out = (f'<rect x="{self.x:g}" y="{self.y:g}" width="{self.w:g}" height="{self.h:g}" rx="6" '
		       f'fill="{FILL[self.kind]}" stroke="{STROKE[self.kind]}"/>\n')
		if self.kind in ('storey', 'area'):
			return out + words(self.x + 12, self.y + 20, lines[:1], 'start', 'title') + words(self.x + 12, self.y + 38, lines[1:], 'start')
		top = self.y + self.h / 2 - (len(lines) - 1) * LINE_HEIGHT / 2 + 4
		return out + words(
			self.x + self.w / 2, top, lines[:1], 'middle', '' if self.kind == 'note' else 'title') + words(
			self.x + self.w / 2, top + LINE_HEIGHT, lines[1:], 'middle')


def end(boxes, name, other):
	"""Where an arrow touches a box: "id" or "id.side+along"."""
	match = re.fullmatch(r'(\w+)(?:\.([lrtb])([+-]\d+)?)?', name)
	if not match or match.group(1) not in boxes:
		raise Wrong(f'no box "{name}"')
	box = boxes[match.group(1)]
	side = match.group(2) or box.toward(boxes[other.split('.')[0]])
	return box.at(side, int(match.group(3) or 0))


def arrow(boxes, args, lines):
	x, y = end(boxes, args[0], args[1])
	to_x, to_y = end(boxes, args[1], args[0])
	dx, dy = (float(a) for a in args[2:4]) if len(args) == 4 else (0, -5)
	top = (y + to_y) / 2 + dy - (len(lines) - 1) * LINE_HEIGHT / 2
	return (f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="#555" marker-end="url(#head)"/>\n' +
		words((x + to_x) / 2 + dx, top, lines, 'middle', 'label'))


def draw(text, name):
	"""The SVG of a text."""
	boxes, out, size = {}, '', None
	for number, line in enumerate(text.splitlines(), 1):
		if not line or line.startswith('#'):
			continue
		head, _, rest = line.partition(':')
		verb, *args = head.split()
		lines = [part.strip() for part in rest.split('|')] if rest else []
		try:
			if verb == 'size':
				size = [float(a) for a in args]
			elif verb == 'box':
				boxes[args[1]] = Box(args[0], [float(a) for a in args[2:6]])
				out += boxes[args[1]].draw(lines)
			elif verb == 'arrow':
				out += arrow(boxes, args, lines)
			elif verb == 'text':
				out += words(float(args[0]), float(args[1]), lines, 'start')
			else:
				raise Wrong(f'"{verb}" is no word of the language')
		except (Wrong, ValueError, KeyError, IndexError) as e:
			raise Wrong(f'{name}:{number}: {e}') from e
	if not size:
		raise Wrong(f'{name}: has no size')
	return ('<?xml version="1.0" encoding="UTF-8"?>\n'
		f'<!-- SPDX-License-Identifier: MIT; drawn from {name} by docs/pictures/draw.py -->\n'
		f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]:g} {size[1]:g}" width="{size[0]:g}" height="{size[1]:g}">\n'
		f'<style>{STYLE}</style>\n'
		'<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
		'<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>\n'
		f'<rect width="{size[0]:g}" height="{size[1]:g}" fill="#ffffff"/>\n{out}</svg>\n')


def pictures(folder=HERE):
	"""(name without its end, what the SVG should be) of each text."""
	for name in sorted(os.listdir(folder)):
		if name.endswith('.txt'):
			with open(os.path.join(folder, name), encoding='utf-8') as f:
				yield name[:-4], draw(f.read(), name)


def main():
	if sys.argv[1:] not in ([], ['--write']):
		sys.exit('usage: docs/pictures/draw.py [--write]')
	stale = 0
	for name, new in pictures():
		path = os.path.join(HERE, name + '.svg')
		if sys.argv[1:]:
			with open(path, 'w', encoding='utf-8') as f:
				f.write(new)
			continue
		old = ''
		if os.path.exists(path):
			with open(path, encoding='utf-8') as f:
				old = f.read()
		if old != new:
			print(f'docs/pictures/{name}.svg is not what its text says: docs/pictures/draw.py --write')
			stale = 1
	return stale


if __name__ == '__main__':
	try:
		sys.exit(main())
	except Wrong as e:
		sys.exit(str(e))
