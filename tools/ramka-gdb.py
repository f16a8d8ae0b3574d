# SPDX-License-Identifier: MIT
"""
Commands and pretty printers for gdb, for a hosted program, a core dump or a kernel behind a stub.

	(gdb) source tools/ramka-gdb.py
	(gdb) ramka frame ADDRESS   everything about one frame
	(gdb) ramka who ADDRESS     who holds it, in one line
	(gdb) ramka cpu N           what CPU N keeps back: cache, rows, depot, deferred frames
	(gdb) ramka map [FRAMES]    the whole memory, so many frames to a cell (default 512), and totals
	(gdb) ramka dump [EXPR]     the same map for tools/ramka-map, in the format of ramka_dump
	(gdb) ramka use EXPRESSION  the instance: a struct ramka *, a CPU or a host

ADDRESS is a physical address, an address in the direct map, or an expression of type struct ramka_frame * or
struct ramka_unique *. Without `ramka use` the instance is found from the variables of the selected frame and its callers
and the static ones that they see, then from those of the other threads. Nothing is written and nothing is called in the program.
"""
import struct

import gdb

# What the sources define as macros: lib/base/slot.h, lib/zone/bitmap.h, lib/cpu/state.h, the public headers. tests/gdb/run
# compares them.
MAGIC = 0x72616d6b
PAGE_SHIFT = 12
TAG_SHIFT = 61
TAGS = ('free', 'unused', 'unique', 'shared', 'deferred', 'busy', 'saturated', 'none')
REF_MARK = 1 << 60
REF_PAYLOAD = (1 << 60) - 1
LINK_SHIFT = 16
INFO_TYPE_SHIFT = 48
INFO_LIST_SHIFT = 16
INFO_ORDER_SHIFT = 8
INFO_FLAGS = ((1, 'detached'), (2, 'reserved'), (4, 'has a drop hook'), (8, 'deferred by type'))
INFO_RESERVED = 2
BLOCK_FRAMES = 512
ENTRY_HUGE = 0x8000
ENTRY_SHUT = 0x4000
ENTRY_COUNT = 0x3ff
MAP_HOLE = 8
TYPE_UNUSABLE = 3 # ramka_type_unusable: frames of bad regions and broken ones
RECLAIMABLE = 2
KINDS = ('usable', 'detached', 'reclaimable', 'reserved', 'bad', 'kernel', 'mmio', 'metadata', 'hole')
ORDER_AT = (0, 32, 64, 96, 128, 144, 160, 176, 184, 192, 200, 208) # lib/cpu/order.h: where the stack of an order begins
NO_ROW = 0xffffffff - (BLOCK_FRAMES - 1)
BAG_SEALED = 2
HEADS = ('unique', 'shared', 'deferred', 'busy', 'saturated')
OWNED = ('unique', 'shared', 'deferred', 'saturated') # ramka_dump says who allocated these
RAMKA_TRACE = 0x100
RAMKA_NO_CPU = 0xffff
CELLS = {'hole': ' ', 'unused': '-', 'free': '.', 'cached': 'c', 'unique': 'U', 'shared': 'S', 'deferred': 'd', 'busy': 'b',
         'reserved': 'R', 'saturated': '!', 'isolated': 'i'}


def number(value):
	"""An integer, or one inside struct ramka_atomic_u32 or _u64."""
	if value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
		value = value['value']
	return int(value)


def read(address, size):
	return gdb.selected_inferior().read_memory(address, size).tobytes()


def words(pointer, first, count):
	"""So many u64 of an array, as Python integers."""
	return struct.unpack(f'<{count}Q', read(int(pointer) + first * 8, count * 8))


# ---- the one place that knows the fields of the library's structures ----

class Sparse:
	"""A set of numbers: a tree of words, of which only those below a set bit mean anything."""
	def __init__(self, s):
		self.levels = [s['level'][i] for i in range(int(s['nr_levels']))]

	def has(self, n):
		return all(words(self.levels[i], n >> 6 * i + 6, 1)[0] >> (n >> 6 * i & 63) & 1 for i in reversed(range(len(self.levels))))

	def members(self, low, high, level=None, word=0):
		"""Those in [low, high), ascending."""
		level = len(self.levels) - 1 if level is None else level
		bits = words(self.levels[level], word, 1)[0] if level >= 0 else 0
		for bit in range(64):
			n, size = word * 64 + bit, 1 << 6 * level
			if not bits >> bit & 1 or (n + 1) * size <= low or n * size >= high:
				continue
			if level:
				yield from self.members(low, high, level - 1, n)
			else:
				yield n


class Zone:
	def __init__(self, z):
		self.present = Sparse(z['present'])
		self.origin, self.low, self.end = int(z['origin']), int(z['low']), int(z['end'])
		self.node = int(z['node'])
		self.words, self.quads = z['map']['words'], z['map']['quads']
		self.blocks = int(z['map']['blocks'])

	def holds(self, frame):
		return self.origin + self.low <= frame < self.origin + self.end

	def block_word(self, block):
		return words(self.quads, block // 4, 1)[0] >> block % 4 * 16 & 0xffff

	def is_free(self, bit):
		"""By the bitmap; a block that is claimed whole keeps its bits."""
		block = bit // BLOCK_FRAMES
		if not self.present.has(block) or self.block_word(block) & ENTRY_HUGE:
			return False
		return bool(words(self.words, bit // 64, 1)[0] >> bit % 64 & 1)

	def free_in_block(self, block):
		"""The same for the frames of a block, as an integer of so many bits."""
		if not self.present.has(block) or self.block_word(block) & ENTRY_HUGE:
			return 0
		return int.from_bytes(read(int(self.words) + block * BLOCK_FRAMES // 8, BLOCK_FRAMES // 8), 'little')


class Cpu:
	"""A CPU; frames are given as frame numbers of the machine."""
	def __init__(self, instance, number_):
		c = instance.r['cpus'][number_]
		self.instance, self.id = instance, number_
		self.cpu, self.cache = c['cpu'], c['cache']
		self.zone = Zone(self.cpu['zone'].dereference())

	def frame(self, n):
		return self.zone.origin + self.zone.low + (n & 0xffffffff)

	def word(self, row, mask):
		first = (row + self.zone.low & 0xffffffff) + self.zone.origin
		return [first + i for i in range(64) if mask >> i & 1]

	def cached(self):
		count = number(self.cpu['hot']) & 0xff
		return [self.frame(int(self.cache['frames'][i])) for i in range(count)]

	def has_rows(self):
		return 'row_masks' in [f.name for f in self.cache.type.fields()]

	def open_row(self):
		if not self.has_rows():
			return []
		row = int(self.cpu['row'])
		return [] if row == NO_ROW else self.word(row, number(self.cpu['row_mask']))

	def closed_rows(self):
		found = []
		for i in range(int(self.cpu['nr_rows']) if self.has_rows() else 0):
			found += self.word(int(self.cache['rows'][i]), number(self.cache['row_masks'][i]))
		return found

	def magazines(self, depot):
		"""Lists of frames, one for each full magazine of the CPU's shard."""
		found, seen = [], set()
		if not int(depot['nr_shards']):
			return found
		at = number(depot['shards'][self.id]['full']) & 0xffffff
		while at and at not in seen:
			seen.add(at)
			m = depot['magazines'][at - 1]
			found.append([self.frame(int(m['frames'][i])) for i in range(int(m['count']))])
			at = number(m['next'])
		return found

	def stacks(self):
		"""(order, base frames) of the stacks of orders 0 (what lasts) to 10."""
		for order in range(len(ORDER_AT) - 1):
			first = ORDER_AT[order]
			heads = [self.frame(int(self.cache['larger_frames'][first + i])) for i in range(number(self.cache['larger'][order]))]
			yield order, [head + i for head in heads for i in range(1 << order)]

	def outbox(self):
		"""(owner, frames) of the lists of mail."""
		if not int(self.cpu['outbox']):
			return
		o = self.cpu['outbox'].dereference()
		for owner in range(int(self.instance.r['nr_cpus']) if int(o['room']) else 0):
			found, at = [], int(o['letters'][owner]['head'])
			for _ in range(int(o['letters'][owner]['count'])):
				found.append(self.frame(int(o['frames'][at])))
				at = int(o['next'][at])
			yield owner, found

	def places(self):
		"""(where, base frames) of each place that keeps free frames back."""
		fields = [f.name for f in self.cache.type.fields()]
		yield f'cached by CPU {self.id}', self.cached()
		yield f'in the open row of CPU {self.id}', self.open_row()
		yield f'in a closed row of CPU {self.id}', self.closed_rows()
		if 'larger' in fields:
			for order, frames in self.stacks():
				yield f'cached by CPU {self.id} as order {order}', frames
		if 'outbox' in [f.name for f in self.cpu.type.fields()]:
			for owner, frames in self.outbox():
				yield f'in the outbox of CPU {self.id}, for CPU {owner}', frames
			yield f'in the mailbox of CPU {self.id}', sum(self.magazines(self.instance.r['mail']), [])
		yield f'in a magazine of the depot, shard of CPU {self.id}', sum(self.magazines(self.instance.r['depot']), [])

	def bags(self):
		"""(what, frames) of the open bag and of each sealed one."""
		yield 'the open bag', self.instance.chain(number(self.cpu['defer']['head']))
		yield from self.instance.sealed(self.cpu['defer'])

	def counters(self):
		names = ('refills', 'flushes', 'steals')
		return ', '.join(f'{number(self.cpu[n])} {n}' for n in names)

	def inside(self):
		return number(self.cpu['active']), number(self.cpu['revoked'])


class Slot:
	def __init__(self, ref, info):
		self.ref, self.info = ref, info
		self.tag = TAGS[ref >> TAG_SHIFT]
		self.state = 'reserved' if self.tag == 'shared' and info & INFO_RESERVED else 'busy' if self.tag == 'none' else self.tag
		self.order = info >> INFO_ORDER_SHIFT & 0xff
		self.type_id = info >> INFO_TYPE_SHIFT
		self.list = info >> INFO_LIST_SHIFT & 0xffffffff

	def link(self):
		return (self.ref & REF_PAYLOAD) >> LINK_SHIFT

	def references(self):
		return self.ref & REF_PAYLOAD

	def is_head(self):
		return self.state in HEADS or self.state == 'reserved'


class Instance:
	def __init__(self, pointer):
		self.r = r = pointer.dereference()
		if int(r['magic']) != MAGIC:
			raise gdb.GdbError('this is no instance of ramka, or it is not initialised')
		self.slots, self.first, self.nr = int(r['slots']), int(r['first']), int(r['nr_slots'])
		slot = r['slots'].type.target()
		self.slot_size = slot.sizeof
		self.offsets = [f.bitpos // 8 for f in slot.fields() if f.name in ('ref', 'info')]
		self.zones = [Zone(r['zones'][i]) for i in range(int(r['nr_zones']))]
		self.pieces = [tuple(int(r['map'][i][field]) for field in ('first', 'kind', 'node', 'zone', 'late'))
			       for i in range(int(r['nr_map']))]
		self.late = Sparse(r['late'])
		self.gone = Sparse(r['gone']) if 'gone' in [f.name for f in r.type.fields()] else None # frames that were removed

	def slot(self, frame):
		ref, info = (words(self.slots + (frame - self.first) * self.slot_size + at, 0, 1)[0] for at in self.offsets)
		return Slot(ref, info)

	def slots_of(self, first, count):
		data = read(self.slots + (first - self.first) * self.slot_size, count * self.slot_size)
		ref, info = self.offsets
		unpack = struct.Struct('<Q').unpack_from
		return [Slot(unpack(data, i + ref)[0], unpack(data, i + info)[0]) for i in range(0, len(data), self.slot_size)]

	def map_entry(self, frame):
		found = None
		if self.first <= frame < self.first + self.nr:
			for piece in self.pieces:
				if piece[0] > frame:
					break
				found = piece
		return found

	def piece(self, frame):
		"""(kind, node) by the memory map, late memory included."""
		found = self.map_entry(frame)
		if not found:
			return MAP_HOLE, 0
		first, kind, node, _, late = found
		if self.gone and self.gone.has(frame - self.first):
			return MAP_HOLE, node
		if kind in (MAP_HOLE, RECLAIMABLE) and self.late.has(late + frame - first):
			kind = 0
		return kind, node

	def ranges(self):
		"""(first, end, kind) over the whole span. The slots of a hole must not be read: nothing may be behind them."""
		for first, end, kind in self.ranges_by_map():
			at = first
			for n in self.gone.members(first - self.first, end - self.first) if self.gone else ():
				if self.first + n > at:
					yield at, self.first + n, kind
				at = self.first + n + 1
				yield at - 1, at, MAP_HOLE
			if end > at:
				yield at, end, kind

	def ranges_by_map(self):
		"""The same without what was removed."""
		end_of_span = self.first + self.nr
		for i, (first, kind, _, _, late) in enumerate(self.pieces):
			end = min(self.pieces[i + 1][0] if i + 1 < len(self.pieces) else end_of_span, end_of_span)
			at = first
			added = self.late.members(late, late + end - first) if kind in (MAP_HOLE, RECLAIMABLE) and end > first else ()
			for n in added:
				frame = first + n - late
				if frame > at:
					yield at, frame, kind
				yield frame, frame + 1, 0
				at = frame + 1
			if end > at:
				yield at, end, kind

	def zone(self, frame):
		if len(self.zones) == 1:
			zone = self.zones[0]
		else:
			entry = self.map_entry(frame)
			zone = self.zones[entry[3]] if entry and entry[3] < len(self.zones) else None
		return zone if zone and zone.holds(frame) else None

	def cpus(self):
		return [Cpu(self, i) for i in range(int(self.r['nr_cpus']))]

	def chain(self, link):
		"""Frames of a chain of links, each a slot's number + 1."""
		found, seen = [], set()
		while link and link not in seen and link <= self.nr:
			seen.add(link)
			found.append(self.first + link - 1)
			link = self.slot(found[-1]).link()
		return found

	def pile(self):
		return self.chain(number(self.r['deferred']))

	def sealed(self, defer):
		"""(what, frames) of each bag in a ring, the oldest first."""
		size = defer['bags'].type.range()[1] + 1
		nr = 0
		for i in range(size):
			slot = (number(defer['next']) + i) % size
			if number(defer['state'][slot]) & 3 == BAG_SEALED:
				nr += 1
				bag = defer['bags'][slot]
				yield f'sealed bag {nr} (grace-period cookie {number(bag["cookie"])})', self.chain(number(bag['chain']['head']))

	def registered(self, type_id):
		"""The name of a registered type, or None."""
		address = number(self.r['types'][type_id]['type'])
		if not address:
			return None
		return gdb.Value(address).cast(gdb.lookup_type('struct ramka_type').pointer())['name'].string()

	def type_name(self, slot):
		return self.registered(slot.type_id & 0xff) or f'type {slot.type_id}'

	def meta(self, frame):
		size = int(self.r['meta_size'])
		return (int(self.r['meta']) + (frame - self.first) * size, size) if size else (0, 0)

	def history(self, frame):
		"""What RAMKA_TRACE noted, ((CPU, address) of the last allocation, the same of the last free); None: nothing, or it is off."""
		if not int(self.r['flags']) & RAMKA_TRACE:
			return None, None
		return tuple(self.noted(word) for word in words(self.r['traces'], 2 * (frame - self.first), 2))

	@staticmethod
	def noted(word):
		"""lib/base/watch.h. CPU None: on the handle without a CPU. The address is sign-extended."""
		cpu, address = word >> 48, word & (1 << 48) - 1
		if not cpu:
			return None
		return None if cpu == RAMKA_NO_CPU else cpu - 1, address | (0xffff << 48 if address >> 47 else 0)

	def direct_map(self):
		return int(self.r['direct_map'])

	def slot_address(self, frame):
		return self.slots + (frame - self.first) * self.slot_size

	def frame_at_slot(self, address):
		off = address - self.slots
		if off % self.slot_size or not 0 <= off // self.slot_size < self.nr:
			raise gdb.GdbError(f'{address:#x} is no slot of this instance')
		return self.first + off // self.slot_size


# ---- finding the instance ----

chosen = None


def choose(text):
	"""Remembers the instance that an expression leads to; no text: forgets it."""
	global chosen
	found = as_instance(gdb.parse_and_eval(text)) if text else None
	if text and found is None:
		raise gdb.GdbError(f'"{text}" leads to no instance')
	chosen = found


def as_instance(value):
	"""The pointer to an instance that a value leads to, or None."""
	if value.type.strip_typedefs().code != gdb.TYPE_CODE_PTR:
		return None
	name = value.type.strip_typedefs().target().strip_typedefs().name
	if name not in ('ramka', 'ramka_cpu', 'ramka_host') or not int(value):
		return None
	if name != 'ramka':
		value = value.dereference()['r']
	try:
		return value if int(value.dereference()['magic']) == MAGIC else None
	except gdb.error: # incomplete type, or no such memory
		return None


def variables(frame):
	block = frame.block()
	while block:
		for symbol in block:
			if symbol.is_variable or symbol.is_argument:
				yield symbol, frame
		block = block.superblock


def search_stack(frame):
	while frame:
		try:
			for symbol, where in variables(frame):
				try:
					pointer = as_instance(symbol.value(where))
				except gdb.error:
					continue
				if pointer is not None:
					return pointer
		except RuntimeError: # a function without debug information
			pass
		frame = frame.older()
	return None


def find_instance():
	if chosen is not None:
		return Instance(chosen)
	pointer = search_stack(gdb.selected_frame())
	selected = gdb.selected_thread()
	if pointer is None and selected:
		for thread in gdb.selected_inferior().threads():
			thread.switch()
			pointer = search_stack(gdb.newest_frame())
			if pointer is not None:
				break
		selected.switch()
	if pointer is not None:
		return Instance(pointer)
	raise gdb.GdbError('no instance in sight: "ramka use EXPRESSION" names it')


def frame_number(instance, text):
	"""The frame that an expression means."""
	value = gdb.parse_and_eval(text)
	if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR and \
	   value.type.strip_typedefs().target().name in ('ramka_frame', 'ramka_unique'):
		return instance.frame_at_slot(int(value))
	address = int(value) & 0xffffffffffffffff
	frame = address >> PAGE_SHIFT
	if not instance.first <= frame < instance.first + instance.nr and address >= instance.direct_map():
		frame = address - instance.direct_map() >> PAGE_SHIFT
	return frame


# ---- who holds a frame ----

def head_of(instance, frame):
	"""The head that a frame without a state of its own is a tail of, or None."""
	for order in range(1, 19):
		head = frame >> order << order
		if head < instance.first:
			return None
		slot = instance.slot(head)
		if head != frame and slot.state in HEADS and slot.order >= order:
			return head
	return None


def holder(instance, frame):
	"""Of a free frame that is not in the bitmap."""
	for cpu in instance.cpus():
		for where, frames in cpu.places():
			if frame in frames:
				return where
	return 'nowhere: on its way between two places, or lost'


def bag_of(instance, frame):
	for cpu in instance.cpus():
		for what, frames in cpu.bags():
			if frame in frames:
				return f'in {what} of CPU {cpu.id}'
	for what, frames in instance.sealed(instance.r['none']['defer']):
		if frame in frames:
			return f'in {what} of all CPUs'
	if frame in instance.pile():
		return 'on the pile that all CPUs share'
	return 'on its way: a thread frees it'


def who(instance, frame):
	kind, _ = instance.piece(frame)
	if kind == MAP_HOLE:
		return 'no frame: a hole, MMIO, or outside the span'
	slot = instance.slot(frame)
	name = instance.type_name(slot)
	size = f', order {slot.order}' if slot.order else ''
	if slot.state == 'free':
		head = head_of(instance, frame)
		if head is not None:
			return f'a tail of the frame at {head << PAGE_SHIFT:#x}, which is {who(instance, head)}'
		zone = instance.zone(frame)
		if zone and zone.is_free(frame - zone.origin):
			block = (frame - zone.origin) // BLOCK_FRAMES
			count = zone.block_word(block) & ENTRY_COUNT
			return f'free, in the bitmap of node {zone.node}: block {block}, which has {count} free frames'
		return 'free, ' + holder(instance, frame)
	if slot.state == 'unused':
		return 'unused: claimable by its address only'
	if slot.state == 'reserved':
		return f'reserved at boot, {name} ({KINDS[kind]})'
	if slot.state == 'deferred':
		return f'deferred, {name}{size}, {bag_of(instance, frame)}'
	if slot.state == 'unique':
		return f'in use by one owner, {name}{size}' + (f', in list {slot.list}' if slot.list else '')
	if slot.state == 'shared':
		marked = ', deferred when the last one goes' if slot.ref & REF_MARK else ''
		return f'in use, {slot.references()} references, {name}{size}{marked}'
	return f'{slot.state}, {name}{size}'


def caller(address):
	"""Function, file and line that a return address belongs to, or ''. The call is before it."""
	line = gdb.find_pc_line(address - 1)
	block = gdb.block_for_pc(address - 1)
	while block and not block.function:
		block = block.superblock
	name = block.function.print_name if block else ''
	return name + (f' at {line.symtab.filename.rsplit("/", 1)[-1]}:{line.line}' if name and line.symtab else '')


def by_whom(noted):
	cpu, address = noted
	return f'{caller(address)} ({address:#x})'.lstrip() + (', on the handle without a CPU' if cpu is None else f', on CPU {cpu}')


# ---- the commands ----

class Ramka(gdb.Command):
	"""Commands for the page-frame allocator ramka: frame, who, cpu, map, dump, use."""
	def __init__(self):
		super().__init__('ramka', gdb.COMMAND_DATA, prefix=True)


class Use(gdb.Command):
	"""ramka use EXPRESSION: the instance that the other commands look at."""
	def __init__(self):
		super().__init__('ramka use', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

	def invoke(self, text, from_tty):
		choose(text)


class Who(gdb.Command):
	"""ramka who ADDRESS: who holds the frame at an address, in one line."""
	def __init__(self):
		super().__init__('ramka who', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

	def invoke(self, text, from_tty):
		instance = find_instance()
		frame = frame_number(instance, text)
		print(f'{frame << PAGE_SHIFT:#x}: {who(instance, frame)}')


class Frame(gdb.Command):
	"""ramka frame ADDRESS: everything about the frame at an address."""
	def __init__(self):
		super().__init__('ramka frame', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

	def invoke(self, text, from_tty):
		instance = find_instance()
		frame = frame_number(instance, text)
		print(f'{frame << PAGE_SHIFT:#x}: {who(instance, frame)}')
		kind, node = instance.piece(frame)
		if kind == MAP_HOLE:
			return
		slot = instance.slot(frame)
		print(f'  slot {instance.slot_address(frame):#x}, state word {slot.ref:#x} ({slot.tag}), info {slot.info:#x}')
		print(f'  memory: {KINDS[kind]}, node {node}; content at {instance.direct_map() + (frame << PAGE_SHIFT):#x}')
		for what, noted in zip(('allocated', 'freed'), instance.history(frame)):
			if noted:
				print(f'  last {what} by {by_whom(noted)}')
		flags = [text for bit, text in INFO_FLAGS if slot.info & bit]
		if slot.is_head():
			print(f'  type {instance.type_name(slot)} (id {slot.type_id}), order {slot.order}, list {slot.list}'
			      + (', ' + ', '.join(flags) if flags else ''))
			address, size = instance.meta(frame)
			if size:
				data = ' '.join(f'{w:016x}' for w in struct.unpack(f'<{size // 8}Q', read(address, size // 8 * 8)))
				print(f'  metadata at {address:#x}: {data}')


class CpuCommand(gdb.Command):
	"""ramka cpu N: what CPU N keeps back from the zones, and whether it is inside a call."""
	def __init__(self):
		super().__init__('ramka cpu', gdb.COMMAND_DATA)

	def invoke(self, text, from_tty):
		instance = find_instance()
		n = int(gdb.parse_and_eval(text))
		if not 0 <= n < int(instance.r['nr_cpus']):
			raise gdb.GdbError(f'there are CPUs 0 to {int(instance.r["nr_cpus"]) - 1}')
		cpu = Cpu(instance, n)
		active, revoked = cpu.inside()
		print(f'CPU {n}, node {cpu.zone.node}: {"inside a call" if active else "outside"}'
		      + (', taken over by a drainer' if revoked else ''))
		for where, frames in cpu.places():
			if frames:
				print(f'  {len(frames)} frames {where}, the last is {frames[-1] << PAGE_SHIFT:#x}')
		for what, frames in cpu.bags():
			if frames:
				print(f'  {len(frames)} deferred frames in {what}')
		print(f'  so far: {cpu.counters()}')


def states(instance):
	"""(state, slot of the head or None, frames) in the order of the span."""
	tails, head, block = 0, None, (None, 0)
	for first, end, kind in instance.ranges():
		if kind == MAP_HOLE:
			tails = 0
			yield 'hole', None, end - first
			continue
		for frame, slot in enumerate(instance.slots_of(first, end - first), first):
			if slot.state != 'free':
				tails, head = ((1 << slot.order) - 1 if slot.state in HEADS else 0), slot
				yield slot.state, slot, 1
			elif tails:
				tails -= 1
				yield head.state, head, 1
			else:
				zone = instance.zone(frame)
				where = zone and (zone.origin, (frame - zone.origin) // BLOCK_FRAMES)
				if zone and block[0] != where:
					block = where, zone.free_in_block(where[1])
				free = zone and block[1] >> (frame - zone.origin) % BLOCK_FRAMES & 1
				shut = free and zone.block_word(where[1]) & ENTRY_SHUT
				yield 'isolated' if shut else 'free' if free else 'cached', None, 1


class MapLines:
	"""Prints 64 cells to a line; lines that are all hole are left out."""
	def __init__(self, first, cell):
		self.cell, self.room = cell, cell
		self.here, self.line, self.start = {}, '', first

	def add(self, state, n):
		while n:
			if state == 'hole' and not self.line and not self.here and n >= 64 * self.cell:
				self.start += n // (64 * self.cell) * 64 * self.cell
				n %= 64 * self.cell
				continue
			part = min(n, self.room)
			self.here[state] = self.here.get(state, 0) + part
			self.room -= part
			n -= part
			if not self.room:
				self.end_cell()

	def end_cell(self):
		most = max(self.here, key=self.here.get)
		self.line += ',' if most == 'free' and len(self.here) > 1 else CELLS[most]
		self.here, self.room = {}, self.cell
		if len(self.line) == 64:
			self.end()

	def end(self):
		if self.here:
			self.end_cell()
		if self.line:
			print(f'{self.start << PAGE_SHIFT:12x} |{self.line}|')
			self.start += 64 * self.cell
			self.line = ''


class Map(gdb.Command):
	"""ramka map [FRAMES]: the whole memory, FRAMES (default 512) to a cell, with a legend and totals."""
	def __init__(self):
		super().__init__('ramka map', gdb.COMMAND_DATA)

	def invoke(self, text, from_tty):
		instance = find_instance()
		cell = int(gdb.parse_and_eval(text)) if text else BLOCK_FRAMES
		if cell < 1:
			raise gdb.GdbError('a cell is one frame at least')
		counts, types = {}, {}
		lines = MapLines(instance.first, cell)
		for state, slot, n in states(instance):
			counts[state] = counts.get(state, 0) + n
			if slot and slot.is_head():
				name = instance.type_name(slot)
				types[name] = types.get(name, 0) + n
			lines.add(state, n)
		lines.end()
		print(f'a cell is {cell} frames and shows its most frequent state; "," is mostly free:')
		for state, n in sorted(counts.items(), key=lambda c: -c[1]):
			print(f'  {CELLS[state]}  {state:10} {n} frames')
		for name, n in sorted(types.items(), key=lambda c: -c[1]):
			print(f'  type {name}: {n} frames')


class Dump(gdb.Command):
	"""ramka dump [EXPRESSION]: the map of the instance that EXPRESSION leads to, for tools/ramka-map.

The format is that of ramka_dump, see include/ramka/dump.h. A line "caller ADDRESS NAME" for each owner comes in addition."""
	LETTERS = {'hole': '_', 'unused': '-', 'free': '.', 'cached': 'c', 'unique': 'U', 'shared': 'S', 'deferred': 'd', 'busy': 'b',
		   'reserved': 'R', 'saturated': '!', 'isolated': 'i'}

	def __init__(self):
		super().__init__('ramka dump', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

	def invoke(self, text, from_tty):
		if text:
			choose(text)
		instance = find_instance()
		print(f'ramka-map: 1 {instance.first << PAGE_SHIFT:x} {instance.nr}')
		for i in range(256):
			if instance.registered(i):
				print(f'ramka-map: type {i} {instance.registered(i)}')
		runs, last, at, head, owner = [], None, instance.first, None, None
		for state, slot, n in states(instance):
			if slot is not head: # a tail comes with the slot of its head
				head = slot
				owner = instance.history(at)[0] if slot and state in OWNED else None
			zone = instance.zone(at) if state != 'hole' and len(instance.zones) > 1 else instance.zones[0]
			key = (state, slot.type_id if slot and slot.is_head() else None, slot.order if slot and slot.is_head() else 0,
			       zone.node if zone and state != 'hole' else 0, owner)
			if key == last:
				runs[-1][2] += n
			else:
				runs.append([at, key, n])
				last = key
			at += n
		for address in sorted({key[4][1] for _, key, _ in runs if key[4]}):
			print(f'ramka-map: caller {address:x} {caller(address)}')
		for at in range(0, len(runs), 8):
			print(f'ramka-map: at {runs[at][0]:x} ' + ' '.join(map(self.token, runs[at:at + 8])))
		print('ramka-map: end')

	def token(self, run):
		(state, type_id, order, node, owner), frames = run[1:]
		letter = 'X' if state == 'reserved' and type_id == TYPE_UNUSABLE else self.LETTERS[state]
		return (letter + ('' if type_id is None else str(type_id)) + (f'/{order}' if order else '')
			+ (f'@{node}' if node else '') + (f':{frames}' if frames > 1 else '')
			+ (f'~{"" if owner[0] is None else owner[0]}.{owner[1]:x}' if owner else ''))


# ---- pretty printers ----

class HandlePrinter:
	"""struct ramka_frame * and struct ramka_unique *: the address and what it is."""
	def __init__(self, value):
		self.value = value

	def to_string(self):
		raw = f'({self.value.type.strip_typedefs()}) {int(self.value):#x}'
		try:
			instance = find_instance()
			frame = instance.frame_at_slot(int(self.value))
			slot = instance.slot(frame)
			return f'{raw} <frame {frame << PAGE_SHIFT:#x}: {who(instance, frame)}>' if slot else raw
		except gdb.error:
			return raw


class SegmentPrinter:
	def __init__(self, value):
		self.value = value

	def to_string(self):
		base, size = int(self.value['base']), int(self.value['size'])
		return f'[{base:#x}, {base + size:#x}), {size >> PAGE_SHIFT} frames' if size else 'empty segment'


class RequestPrinter:
	FLAGS = ((1, 'uninit'), (2, 'wait'), (4, 'node only'), (8, 'short'), (16, 'long'), (32, 'movable'), (64, 'reserve'))

	def __init__(self, value):
		self.value = value

	def to_string(self):
		v = self.value
		parts = [f'order {int(v["order"])}']
		parts += [f'below 2^{int(v["addr_bits"])}'] if int(v['addr_bits']) else []
		parts += [f'node {int(v["node"]) - 1}'] if int(v['node']) else []
		parts += [text for bit, text in self.FLAGS if int(v['flags']) & bit]
		return ', '.join(parts)


def printer(value):
	kind = value.type.strip_typedefs()
	if kind.code == gdb.TYPE_CODE_PTR and kind.target().unqualified().name in ('ramka_frame', 'ramka_unique') and int(value):
		return HandlePrinter(value)
	if kind.code == gdb.TYPE_CODE_STRUCT and kind.name in ('ramka_segment', 'ramka_request'):
		return SegmentPrinter(value) if kind.name == 'ramka_segment' else RequestPrinter(value)
	return None


gdb.pretty_printers.append(printer)
for command in (Ramka, Use, Who, Frame, CpuCommand, Map, Dump):
	command()
