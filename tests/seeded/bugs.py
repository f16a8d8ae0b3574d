# SPDX-License-Identifier: MIT
"""
The bugs that tests/seeded/run puts into the sources, one at a time, and who must find each.

	name     of the bug
	what     goes wrong, in a few words
	layer    "stress SCENARIO", "plain SCENARIO" (no delays), "tsan SCENARIO", "park POINT", "step OPERATION",
	         "checker CLIENT..." (in turn), "unit PROGRAM", "model PROGRAM", "misuse PROGRAM", "fuzz TARGET"
	seconds  the layer's budget on an idle machine
	edits    (file, old text, new text)...; the old text must be there exactly once
"""

BUGS = []


def bug(name, what, layer, seconds, *edits, **more):
	BUGS.append(dict(name=name, what=what, layer=layer, seconds=seconds, edits=edits, **more))


# ---- depot ----

bug('depot-no-tag', 'neither stack counts its changes: ABA', 'checker depot_stack', 20,
    ('lib/depot.c', '((old & ~(uint64_t)INDEX_MASK) + TAG_ONE) | next', '(old & ~(uint64_t)INDEX_MASK) | next'),
    ('lib/depot.c', '((old & ~(uint64_t)INDEX_MASK) + TAG_ONE) | index', '(old & ~(uint64_t)INDEX_MASK) | index'))
bug('depot-stale-tag', 'the tag is that of the first look, not of the retry', 'checker depot_stack depot_empties', 20,
    ('lib/depot.c', '	uint64_t old = ramka_load(head, acquire, depot.push);\n',
     '	uint64_t old = ramka_load(head, acquire, depot.push), first = old;\n'),
    ('lib/depot.c', '((old & ~(uint64_t)INDEX_MASK) + TAG_ONE) | next', '((first & ~(uint64_t)INDEX_MASK) + TAG_ONE) | next'),
    ('lib/depot.c', '	uint64_t old = ramka_load(head, relaxed, depot.look);\n',
     '	uint64_t old = ramka_load(head, relaxed, depot.look), first = old;\n'),
    ('lib/depot.c', '((old & ~(uint64_t)INDEX_MASK) + TAG_ONE) | index', '((first & ~(uint64_t)INDEX_MASK) + TAG_ONE) | index'))
bug('depot-narrow-tag', 'one bit of tag', 'checker depot_stack depot_empties', 40,
    ('lib/depot.c', '#define TAG_ONE (INDEX_MASK + UINT64_C(1))', '#define TAG_ONE (UINT64_C(1) << 63)'))
bug('depot-push-relaxed', 'a magazine is pushed before its content', 'checker depot_stack', 20,
    ('lib/depot.c', '| index, release, depot.push)', '| index, relaxed, depot.push)'))
bug('depot-head-relaxed', 'the first look at the head does not acquire', 'checker depot_stack depot_empties', 20,
    ('lib/depot.c', 'uint64_t old = ramka_load(head, acquire, depot.push);', 'uint64_t old = ramka_load(head, relaxed, depot.push);'))
bug('steal-leaves-one', 'a magazine is taken over but for its last frame', 'plain oom', 5,
    ('lib/cpu.c', '	n = m->count;\n	memcpy(cache_of(cpu)->frames,', '	n = m->count - (m->count > 1);\n	memcpy(cache_of(cpu)->frames,'))

# ---- state word ----

bug('publish-before-meta', 'the frame can be looked up before its metadata is there', 'checker frame_reuse frame_reuse_other_cpu', 20,
    ('lib/frame.c', '	frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT));\n	return frame_publish',
     '	slot_set_info(f, e->info);\n	ramka_store(&f->ref, ref, release, slot.publish);\n'
     '	frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT));\n	return frame_publish'))
bug('publish-before-type', 'the frame can be looked up before it has its type', 'checker frame_reuse frame_reuse_other_cpu', 20,
    ('lib/frame.c', '	frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT));\n	return frame_publish(cpu, f, ref, operation) ? f : NULL;',
     '	uint64_t info = slot_info(f);\n\n	frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT));\n'
     '	slot_set_info(f, info);\n	frame_publish(cpu, f, ref, operation);\n	slot_set_info(f, e->info);\n	return f;'))
bug('publish-before-zero', 'the frame can be looked up before it is zeroed', 'checker frame_zeroed', 20,
    ('lib/frame.c', '	frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT));\n	return frame_publish(cpu, f, ref, operation) ? f : NULL;',
     '	frame_build(r, f, e, meta, req.order, 0, false);\n	frame_publish(cpu, f, ref, operation);\n'
     '	if (!(req.flags & RAMKA_ALLOC_UNINIT))\n		memset(slot_content(r, f), 0, (size_t)RAMKA_PAGE_SIZE << req.order);\n	return f;'))
bug('publish-relaxed', 'a frame is published before its metadata', 'checker frame_reuse frame_reuse_other_cpu frame_from_unused', 20,
    ('lib/frame.c', '	ramka_store(&f->ref, ref, release, slot.publish);\n	contract_commit(r, f, step, operation);',
     '	ramka_store(&f->ref, ref, relaxed, slot.publish);\n	contract_commit(r, f, step, operation);'))
bug('publish-relaxed-cached', 'the same on the shortest way', 'checker frame_hit_lookup', 20,
    ('lib/handle.h', '	slot_set_info(f, e->info);\n	ramka_store(&f->ref, ref, release, slot.publish);',
     '	slot_set_info(f, e->info);\n	ramka_store(&f->ref, ref, relaxed, slot.publish);'))
bug('put-frees-at-two', 'the last reference but one frees', 'plain refs', 5,
    ('lib/frame.c', '	else if (!others)\n', '	else if (others <= 1)\n'))
bug('put-release-only', 'the last put does not see what other holders did', 'checker frame_last_put frame_get_put frame_reuse', 20,
    ('lib/frame.c', 'old = ramka_sub(&f->ref, 1, acq_rel, slot.drop);', 'old = ramka_sub(&f->ref, 1, release, slot.drop);'))
bug('put-acquire-only', 'a put does not say what its holder did', 'checker frame_last_put frame_get_put frame_reuse', 20,
    ('lib/frame.c', 'old = ramka_sub(&f->ref, 1, acq_rel, slot.drop);', 'old = ramka_sub(&f->ref, 1, acquire, slot.drop);'))
bug('put-release-only-tsan', 'the same, seen by ThreadSanitizer', 'tsan refs', 15,
    ('lib/frame.c', 'old = ramka_sub(&f->ref, 1, acq_rel, slot.drop);', 'old = ramka_sub(&f->ref, 1, release, slot.drop);'))
bug('put-release-only-fuzz', 'the same, found by bytes that choose the schedule', 'fuzz schedules', 60,
    ('lib/frame.c', 'old = ramka_sub(&f->ref, 1, acq_rel, slot.drop);', 'old = ramka_sub(&f->ref, 1, release, slot.drop);'))
bug('lookup-relaxed', 'from_in_use does not acquire', 'checker frame_reuse frame_reuse_other_cpu frame_share frame_last_put', 20,
    ('lib/frame.c', 'if (ramka_cas(&f->ref, &ref, ref + 1, acquire, slot.publish))', 'if (ramka_cas(&f->ref, &ref, ref + 1, relaxed, slot.publish))'))
bug('lookup-relaxed-tsan', 'the same, seen by ThreadSanitizer', 'tsan refs', 15,
    ('lib/frame.c', 'if (ramka_cas(&f->ref, &ref, ref + 1, acquire, slot.publish))', 'if (ramka_cas(&f->ref, &ref, ref + 1, relaxed, slot.publish))'))
bug('lookup-revives', 'from_in_use takes a frame whose last reference is gone', 'stress refs', 15,
    ('lib/frame.c', '		if ((ref & ~REF_MARK) == REF_SHARED(0))\n			return RAMKA_E_BUSY;\n		if (ref_others(ref) >= REF_MAX - 1) {',
     '		if (ref_others(ref) >= REF_MAX - 1 && (ref & ~REF_MARK) != REF_SHARED(0)) {'))
bug('try-unique-relaxed', 'the sole owner does not see what others did', 'checker frame_try_unique', 20,
    ('lib/unique.c', 'if (ramka_cas(&f->ref, &sole, REF_UNIQUE, acquire, slot.drop)) {', 'if (ramka_cas(&f->ref, &sole, REF_UNIQUE, relaxed, slot.drop)) {'))
bug('try-unique-marked', 'a frame that put_rcu marked becomes unique: readers may still look', 'checker defer_try_unique', 20,
    ('lib/unique.c', '	contract_abort(r, f);\n	if (ref_tag(sole) != TAG_SHARED && ref_tag(sole) != TAG_SATURATED)',
     '	if (sole == (REF_SHARED(1) | REF_MARK) && ramka_cas(&f->ref, &sole, REF_UNIQUE, acquire, slot.drop))\n'
     '		return unique_of(f);\n'
     '	contract_abort(r, f);\n	if (ref_tag(sole) != TAG_SHARED && ref_tag(sole) != TAG_SATURATED)'))
bug('share-relaxed', 'a shared frame shows itself before what its owner wrote', 'checker frame_share', 20,
    ('lib/unique.c', '	ramka_store(&f->ref, REF_SHARED(1), release, slot.publish);\n	contract_commit(r, f, STEP_SHARE',
     '	ramka_store(&f->ref, REF_SHARED(1), relaxed, slot.publish);\n	contract_commit(r, f, STEP_SHARE'))
bug('double-put-accepted', 'a put too many frees again', 'misuse panics', 10,
    ('lib/frame.c', '	if (unlikely(others >= REF_MAX))\n		put_failed(cpu->r, f, old);\n	else if (!others)',
     '	if (unlikely(others >= REF_MAX) && old != REF_FREE)\n		put_failed(cpu->r, f, old);\n	else if (!others || old == REF_FREE)'))
bug('stray-get-undone', 'a get of a dying frame is undone by subtracting', 'checker frame_stray_get', 20,
    ('lib/frame.c', '	undo(f, old, old + 1);\n', '	ramka_sub(&f->ref, 1, relaxed, slot.undo);\n'))
bug('saturates-too-late', 'a get at the top of the count goes on counting', 'unit frame', 10,
    ('lib/frame.c', '		saturate(r, f, old, "ramka_frame_get");\n		return f;\n', '		return f;\n'))
bug('saturates-below-top', 'at its top the count goes one back instead of staying for ever', 'checker frame_saturate', 20,
    ('lib/frame.c', '	ramka_store(&f->ref, REF_SATURATED, relaxed, slot.undo);\n	if (!(r->flags', '	ramka_store(&f->ref, REF_SHARED(REF_MAX - 1), relaxed, slot.undo);\n	if (!(r->flags'))
bug('callback-twice', 'on_drop runs twice', 'plain refs', 5,
    ('lib/drop.c', '	frame_drop_meta(cpu, f, info);\n	frame_release(cpu, f, info);',
     '	frame_drop_meta(cpu, f, info);\n	frame_drop_meta(cpu, f, info);\n	frame_release(cpu, f, info);'))
bug('callback-skipped-in-chain', 'frames that waited for their turn are freed without on_drop', 'plain refs', 5,
    ('lib/drop.c', '			old = ref_link(slot_ref(f));\n			end_one(cpu, f);',
     '			old = ref_link(slot_ref(f));\n			frame_release(cpu, f, slot_info(f));'))
bug('chain-loses-one', 'of the frames that wait for their turn, only the newest is dropped', 'plain refs', 5,
    ('lib/drop.c', '			old = ref_link(slot_ref(f));\n			end_one(cpu, f);', '			old = 0;\n			end_one(cpu, f);'))

# ---- section ----

bug('section-not-nested', 'a handler on top of a call opens the section again', 'stress nested', 10,
    ('lib/cpu.h', '	if (unlikely(ramka_load(&cpu->active, relaxed, section.own)))\n		return false;\n', ''))
bug('section-not-nested-step', 'the same, at each instruction of one call', 'step put', 10,
    ('lib/cpu.h', '	if (unlikely(ramka_load(&cpu->active, relaxed, section.own)))\n		return false;\n', ''))
bug('handler-drop-lost', 'what a handler drops while on_drop runs is forgotten', 'checker drop_irq', 20,
    ('lib/drop.c', '		if (ramka_cas(&cpu->pending, &old, PENDING_NOBODY, relaxed, drop.pending))\n			return;\n',
     '		ramka_store(&cpu->pending, PENDING_NOBODY, relaxed, drop.pending);\n		return;\n'))
bug('section-ignores-revoked', 'the owner goes on while a drainer has its cache', 'stress drain', 10,
    ('lib/cpu.h', '	if (likely(!ramka_load(&cpu->revoked, acquire, section.revoke)))\n		return true;', '	return true;'))
bug('drain-ignores-active', 'a drainer takes the cache of a CPU that is inside a call', 'stress drain', 10,
    ('lib/cpu.c', 'if (!stopped || ramka_load(&cpu->active, acquire, section.leave))', 'if (!stopped)'))
bug('drain-without-barrier', 'a declined barrier counts as done', 'checker cpu_drain', 30,
    ('lib/cpu.c', '	stopped = r->barrier_all_cpus(r->ctx);\n', '	stopped = true;\n'))
bug('drain-active-relaxed', 'a drainer does not see what the last call did', 'checker cpu_drain', 20,
    ('lib/cpu.c', 'ramka_load(&cpu->active, acquire, section.leave))', 'ramka_load(&cpu->active, relaxed, section.leave))'))
bug('revoked-relaxed', 'the owner does not see what the drainer did', 'checker cpu_drain cpu_drain_twice', 20,
    ('lib/cpu.h', 'ramka_load(&cpu->revoked, acquire, section.revoke)', 'ramka_load(&cpu->revoked, relaxed, section.revoke)'))
bug('leave-relaxed', 'leaving the section does not release', 'tsan drain', 15,
    ('lib/cpu.h', '{\n	ramka_store(&cpu->active, 0, release, section.leave);\n}', '{\n	ramka_store(&cpu->active, 0, relaxed, section.leave);\n}'))
bug('revoked-for-ever', 'a CPU that was left alone stays revoked', 'checker cpu_reopens cpu_drain', 20,
    ('lib/cpu.c', '		if (!stopped || ramka_load(&cpu->active, acquire, section.leave))\n			all = false;\n		else\n			take(cpu, arg);',
     '		if (!stopped || ramka_load(&cpu->active, acquire, section.leave)) {\n			all = false;\n			continue;\n		}\n		take(cpu, arg);'))
bug('offline-keeps-cache', 'a CPU goes off line with its cache', 'plain hotplug', 6,
    ('lib/init.c', '	cpu_drain_own(cpu);\n', ''))
bug('offline-keeps-shard', 'a CPU goes off line with its full magazines', 'unit cpu', 10,
    ('lib/cpu.c', '	drain_self(cpu, &mine);\n	drain_shard(cpu->r, cpu->id, &mine);', '	drain_self(cpu, &mine);'))
bug('offline-keeps-deferred', 'a CPU goes off line with its bags', 'unit defer', 10,
    ('lib/init.c', '	defer_offline(cpu);\n', ''))
bug('drain-forgets-rows', 'a drain empties the cache but not the rows', 'plain oom', 5,
    ('lib/cpu.c', '	cpu_settle(cpu);\n	flush_rows(cpu);\n	free_frames(cpu, cpu->zone, cache_of(cpu)->frames, n, true);',
     '	cpu_settle(cpu);\n	free_frames(cpu, cpu->zone, cache_of(cpu)->frames, n, true);'))
bug('flush-copies-top', 'a full magazine holds the frames that stay in the cache', 'plain churn', 5,
    ('lib/cpu.c', '		memcpy(m->frames, cache_of(cpu)->frames, out * sizeof(*m->frames));', '		memcpy(m->frames, cache_of(cpu)->frames + (n - out), out * sizeof(*m->frames));'))
bug('cache-overruns', 'the cache is full one frame too late', 'plain pipe', 5,
    ('lib/cpu.h', 'unlikely(HOT_COUNT(hot) == CACHE_SIZE)', 'unlikely(HOT_COUNT(hot) == CACHE_SIZE + 1)'),
    ('lib/cpu.c', 'if (HOT_COUNT(hot) == CACHE_SIZE)', 'if (HOT_COUNT(hot) == CACHE_SIZE + 1)'))

# ---- zone ----

bug('free-counts-first', 'the count is raised before the bits are set', 'park bit.free', 20,
    ('lib/bitmap.c', '	do\n		if (lane & LANE_HUGE || old & mask)\n			return 0;\n',
     '	if (!(lane & LANE_HUGE) && !(old & mask))\n		raise(b, block, bits_count(mask), 0);\n'
     '	do\n		if (lane & LANE_HUGE || old & mask)\n			return 0;\n'),
    ('lib/bitmap.c', '	return raise(b, block, n, run) ? n : 0;', '	(void)run;\n	return n;'))
bug('exact-without-promise', 'an exact claim clears its bit without a promise', 'checker bitmap_exact', 20,
    ('lib/bitmap.c', '	if ((w & mask) != mask || !promise(b, block, n, n))\n		return false;\n', '	if ((w & mask) != mask)\n		return false;\n'),
    ('lib/bitmap.c', '		if (ramka_cas(&b->words[word], &w, w & ~mask, acq_rel, bit.free))\n			return true;',
     '		if (ramka_cas(&b->words[word], &w, w & ~mask, acq_rel, bit.free))\n			return promise(b, block, n, n);'),
    hangs=True)
bug('exact-loses-promise', 'an exact claim that fails keeps its promise', 'stress claimers', 10,
    ('lib/bitmap.c', '			return true;\n	raise(b, block, n, 0);\n	return false;', '			return true;\n	return false;'))
bug('undo-sets-nothing', 'an undo gives the promise back without its bits', 'checker bitmap_words', 30,
    ('lib/bitmap.c', '			ramka_or(&words[i], ~(uint64_t)0, release, bit.free);\n		return false;', '			;\n		return false;'))
bug('undo-forgets-first', 'the undo of a run of words leaves its first', 'checker bitmap_words', 30,
    ('lib/bitmap.c', '		while (i--)\n			ramka_or(&words[i]', '		while (--i && i < nr)\n			ramka_or(&words[i]'))
bug('undo-one-too-many', 'the undo of a run of words frees one that another has', 'checker bitmap_words', 30,
    ('lib/bitmap.c', '		while (i--)\n			ramka_or(&words[i]', '		i++;\n		while (i--)\n			ramka_or(&words[i]'))
bug('undo-wrong-word', 'the undo of a run of words counts from its end', 'checker bitmap_words', 30,
    ('lib/bitmap.c', '			ramka_or(&words[i], ~(uint64_t)0, release, bit.free);', '			ramka_or(&words[nr - 1 - i], ~(uint64_t)0, release, bit.free);'))
bug('closes-early', 'a block counts as whole with one frame missing', 'unit bitmap', 20,
    ('lib/bitmap.c', '		lane = count == BLOCK_FRAMES ? LANE_FULL :', '		lane = count >= BLOCK_FRAMES - 1 ? LANE_FULL :'), hangs=True)
bug('undo-blocks-short', 'the undo of a run of blocks leaves some claimed', 'stress huge', 15,
    ('lib/bitmap.c', '		if (i)\n			bitmap_free_blocks(b, block, i);', '		if (i > step)\n			bitmap_free_blocks(b, block, i - step);'))
bug('huge-free-relaxed', 'a freed huge frame does not show what its owner did', 'checker bitmap_huge_pair bitmap_close', 30,
    ('lib/bitmap.c', '(PACK_OF(to) & mask), acq_rel, huge.free)', '(PACK_OF(to) & mask), relaxed, huge.free)'))
bug('hint-tests-first', 'a setter of a hint looks before it sets', 'checker bitmap_hints bitmap_hints_whole bitmap_hints_fix', 60,
    ('lib/bitmap.c', '	while (!ramka_or(&h->level[level][word], mask, release, hint) && ++level < h->nr_levels) {',
     '	while (!(ramka_load(&h->level[level][word], relaxed, hint) & mask) && !ramka_or(&h->level[level][word], mask, release, hint) &&'
     ' ++level < h->nr_levels) {'))
bug('hint-not-read-again', 'a hint is cleared without another look', 'checker bitmap_hints', 30,
    ('lib/bitmap.c', '	if (hint_wanted(b, h, block))\n		hints_set(h, block);\n}\n\nvoid bitmap_fix', '}\n\nvoid bitmap_fix'))
bug('hint-set-relaxed', 'a hint is set without what it says', 'checker bitmap_hints bitmap_hints_whole', 30,
    ('lib/bitmap.c', '!ramka_or(&h->level[level][word], mask, release, hint)', '!ramka_or(&h->level[level][word], mask, relaxed, hint)'))
bug('scan-once', 'who holds a promise gives up after one pass', 'checker bitmap_scan', 30,
    ('lib/bitmap.c', '	for (unsigned i = start;; i++) {\n', '	for (unsigned i = start; i < start + BLOCK_WORDS; i++) {\n'),
    ('lib/bitmap.c', '				return block * BLOCK_FRAMES + i % BLOCK_WORDS * WORD_BITS + bits_lowest(bit);\n		}\n	}\n}',
     '				return block * BLOCK_FRAMES + i % BLOCK_WORDS * WORD_BITS + bits_lowest(bit);\n		}\n	}\n	return NO_FRAME;\n}'))
bug('take-keeps-rest', 'a refill that finds fewer frames than promised keeps the rest', 'stress oom', 10,
    ('lib/bitmap.c', '	if (bits_count(mask) < n)\n		raise(b, block, n - bits_count(mask), 0);\n', ''))
bug('run-not-aligned', 'a run is taken wherever it begins', 'plain churn', 5,
    ('lib/bits.h', '	return w & bits_multiples(order);', '	return order == 2 ? w : w & bits_multiples(order);'))
bug('split-loses-last', 'of a split huge frame one block stays claimed as a whole', 'plain churn', 8,
    ('lib/zone.c', '	for (uint32_t i = 0; i < 1u << (old_order - BLOCK_ORDER); i++)\n		bitmap_open_block',
     '	for (uint32_t i = 0; i + 1 < 1u << (old_order - BLOCK_ORDER); i++)\n		bitmap_open_block'))
bug('split-keeps-bits', 'a split huge frame still has its bits', 'plain churn', 8,
    ('lib/bitmap.c', '	for (unsigned i = 0; i < BLOCK_WORDS; i++)\n		ramka_store(&block_words(b, block)[i], 0, relaxed, huge.open);\n', ''))
bug('trim-too-far', 'what a segment leaves of its run is freed one frame early', 'plain segments', 5,
    ('lib/cpu.c', 'bit + (uint32_t)nr, (1u << order) - (uint32_t)nr)', 'bit + (uint32_t)nr - 1, (1u << order) - (uint32_t)nr + 1)'))
bug('trim-keeps-rest', 'what a segment leaves of its run is lost', 'plain segments', 5,
    ('lib/cpu.c', '	zone_free_range(z, bit + (uint32_t)nr, (1u << order) - (uint32_t)nr);\n', ''))

# ---- no memory ----

bug('nomem-no-last-resort', 'no memory is said without draining', 'plain oom', 5,
    ('lib/cpu.c', '	return f ? f : last_resort(cpu, req, nr, try_exhaustive);', '	return f;'))
bug('nomem-no-drain', 'the last pass does not drain the caches first', 'plain oom', 5,
    ('lib/cpu.c', '		bool all = cpu_drain_all(r, cpu, &mine);\n', '		bool all = true;\n'))
bug('nomem-one-round', 'the pass is not repeated when frames moved', 'checker nomem_last_frame nomem_last_frames nomem_refill', 60,
    ('lib/cpu.c', '		if ((all || !r->barrier_all_cpus) && collect(r) == before + mine)\n			break;', '		(void)before;\n		(void)all;\n		break;'))
bug('nomem-forgets-skipped', 'a CPU that was left alone does not count', 'checker nomem_last_frame nomem_last_frames nomem_refill', 60,
    ('lib/cpu.c', '		if ((all || !r->barrier_all_cpus) && collect(r)', '		if (all | 1 && collect(r)'))
bug('refill-all-or-nothing', 'a refill that cannot have its batch takes nothing', 'plain oom', 5,
    ('lib/bitmap.c', '	n = promise(b, block, 1, w ? max : 1);', '	n = promise(b, block, w ? max : 1, w ? max : 1);\n	if (n < 64)\n		return n && raise(b, block, n, 0) ? 0 : 0;'),
    ('lib/bitmap.c', 'acquire, count.raise) >> lane_shift(block)) & 0xffff))\n		if (promise(b, block, 1, 1))',
     'acquire, count.raise) >> lane_shift(block)) & 0xffff) >= 64)\n		if (promise(b, block, 1, 1))'))

# ---- by address, requests, set-up ----

bug('claim-without-taking', 'a free frame is claimed and stays in the bitmap', 'plain claimers', 5,
    ('lib/cpu.c', '	if (bitmap_claim_mask(&z->map, bit / WORD_BITS, (uint64_t)1 << (bit % WORD_BITS))) {',
     '	if (bitmap_is_free(&z->map, bit)) {'))
bug('claim-cached-by-others', 'a frame in another CPU\'s cache can be claimed', 'plain claimers', 5,
    ('lib/cpu.c', '	return mine && claim_bit(cpu, z, bit) ? 0 : RAMKA_E_BUSY;', '	return 0;'))
bug('claim-accepts-free', 'a claim of a free frame leaves it where it is', 'checker frame_claim_alloc', 20,
    ('lib/frame.c', '		*ret_flags = 0;\n		return cpu_claim(cpu, f);', '		*ret_flags = 0;\n		return 0;'))
bug('claim-not-exclusive', 'two claims of unused memory both succeed', 'checker frame_from_unused', 20,
    ('lib/frame.c', '		if (!ramka_cas(&f->ref, &ref, REF_BUSY((uint64_t)0), acquire, slot.claim))\n			return RAMKA_E_BUSY;',
     '		ramka_store(&f->ref, REF_BUSY((uint64_t)0), relaxed, slot.claim);'))
bug('claim-relaxed', 'a claim does not see what the last owner did', 'checker frame_from_unused range_claim_detached', 20,
    ('lib/frame.c', 'REF_BUSY((uint64_t)0), acquire, slot.claim)', 'REF_BUSY((uint64_t)0), relaxed, slot.claim)'))
bug('segment-undo-short', 'a claim of a range that fails keeps its first frame', 'plain segments', 5,
    ('lib/segment.c', '		while (i--)\n			frame_release', '		while (i-- > 1)\n			frame_release'))
bug('detached-becomes-free', 'frames claimed from unused memory are freed into the allocator', 'plain claimers', 5,
    ('lib/drop.c', '	if (info & INFO_DETACHED) {', '	if (info & INFO_DETACHED && info & INFO_HOOK) {'))
bug('zero-skipped-for-orders', 'frames of order 1 and above are zeroed in their first page only', 'plain churn', 5,
    ('lib/drop.c', '		memset(slot_content(r, f), 0, (size_t)RAMKA_PAGE_SIZE << order);', '		memset(slot_content(r, f), 0, (size_t)RAMKA_PAGE_SIZE);'))
bug('zero-skipped-after-steal', 'a frame out of another CPU\'s magazine is not zeroed', 'unit cpu', 10,
    ('lib/frame.c', '	f = take(cpu, req);\n	if (unlikely(!f))\n		return NULL;\n',
     '	uint64_t steals = ramka_load(&cpu->steals, relaxed, stat);\n\n	f = take(cpu, req);\n	if (unlikely(!f))\n		return NULL;\n'
     '	if (ramka_load(&cpu->steals, relaxed, stat) != steals)\n		req.flags |= RAMKA_ALLOC_UNINIT;\n'))
bug('zero-skipped-in-bulk', 'bulk frames are never zeroed', 'plain bulk', 5,
    ('lib/frame.c', '			frame_build(r, got[i], e, NULL, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT));',
     '			frame_build(r, got[i], e, NULL, req.order, 0, false);'))
bug('order-not-checked', 'a request beyond the largest order is let through', 'unit frame', 10,
    ('lib/frame.c', '	return req.order <= RAMKA_MAX_ORDER && !req.reserved &&', '	return req.order <= RAMKA_MAX_ORDER + 14 && !req.reserved &&'))
bug('limit-off-by-one', 'a frame may end beyond the limit of the address', 'unit zone', 10,
    ('lib/zone.c', '	return limit <= first ? 0 : limit - first < BLOCK_FRAMES ? limit - first : BLOCK_FRAMES;',
     '	return limit <= first ? 0 : limit - first < BLOCK_FRAMES ? limit - first + 1 : BLOCK_FRAMES;'))
bug('region-one-too-long', 'each usable region gives one frame too many', 'plain pipe', 5,
    ('lib/init.c', '(uint32_t)(end - z->origin));\n		ramka_add(&z->usable, nr', '(uint32_t)(end - z->origin) + 1);\n		ramka_add(&z->usable, nr'))
bug('hole-usable', 'MMIO is handed out', 'plain oom', 5,
    ('lib/init.c', '		if (m->kind == MAP_HOLE)\n			continue;', '		if (m->kind == MAP_HOLE && i + 2 >= r->nr_map)\n			continue;'),
    ('lib/init.c', '	if (kind == RAMKA_USABLE) {\n', '	if (kind == RAMKA_USABLE || kind == MAP_HOLE) {\n'))

bug('shared-frame-weaker', 'a frame that two regions share goes to the less restrictive one', 'fuzz maps', 20,
    ('lib/map.c', '		if (rank_of(kind) > rank_of(b->shared_kind)) {', '		if (rank_of(kind) < rank_of(b->shared_kind)) {'))
bug('slice-counts-whole', 'a slice takes its references at the segment\'s start', 'fuzz ops', 90,
    ('lib/segment.c', '	part = ramka_segment_get(r, (struct ramka_segment){ s.base + from, to - from });',
     '	part = ramka_segment_get(r, (struct ramka_segment){ s.base, to - from });\n	part.base += from;'))
bug('bulk-put-skips', 'a bulk put forgets its last frame', 'model sequences', 30,
    ('lib/frame.c', '	for (size_t i = 0; i < n; i++) {\n		if (i + PREFETCH_AHEAD < n)', '	for (size_t i = 0; i + (n > 3) < n; i++) {\n		if (i + PREFETCH_AHEAD < n)'))

# ---- late memory ----

bug('late-entry-relaxed', 'added memory can be found before the map says so', 'checker late_memory_hole late_memory_lookup', 30,
    ('lib/init.c', 'ramka_store(&r->nr_late, nr + 1, release, map.late)', 'ramka_store(&r->nr_late, nr + 1, relaxed, map.late)'),
    ('lib/init.c', 'ramka_store(&r->late[i].end, end, release, map.late)', 'ramka_store(&r->late[i].end, end, relaxed, map.late)'))
bug('late-adders-race', 'two may add memory at once', 'checker late_memory_holes late_memory_two', 30,
    ('lib/init.c', 'if (!ramka_cas(&r->adding, &none, 1, acquire, map.adding))', 'if (!ramka_cas(&r->adding, &none, 1, acquire, map.adding) && none > 1)'))
bug('late-claim-keeps', 'an addition that fails keeps the frames that it had taken', 'unit init', 10,
    ('lib/init.c', '				ramka_store(&r->slots[i - r->first].ref, REF_SHARED(1), release, slot.publish);', '				;'))
bug('map-last-hole-lost', 'behind a last frame that is shared the map does not end', 'unit map', 10,
    ('lib/map.c', '	emit(&b, frame_of(UINT64_MAX), MAP_HOLE, 0);', '	;'))

# ---- lists ----

bug('list-id-not-cleared', 'a frame that left a list still says that it is in it', 'plain lists', 5,
    ('lib/list.c', '	l->size--;\n	set_list(u, 0);\n', '	l->size--;\n'))
bug('list-back-stale', 'taking the last frame leaves the list\'s end', 'plain lists', 5,
    ('lib/list.c', '	else\n		l->back = link->prev;\n	*link', '	else\n		;\n	*link'))
bug('list-insert-one-way', 'an insert in the middle forgets the link back', 'plain lists', 5,
    ('lib/list.c', '		link_of(l, next)->prev = u;\n	else', '		;\n	else'))

# ---- deferred reclaim ----

bug('defer-one-period-early', 'a bag waits for a grace period that had begun before', 'plain defer', 8,
    ('lib/defer.c', '	b->cookie = r->rcu.snapshot(r->rcu.ctx); /* after', '	b->cookie = r->rcu.snapshot(r->rcu.ctx) - 1; /* after'))
bug('defer-no-period', 'bags are freed when the next is sealed', 'plain defer', 8,
    ('lib/defer.c', 'if (!d->nr || !r->rcu.elapsed(r->rcu.ctx, b->cookie))', 'if (!d->nr)'))
bug('defer-no-period-tsan', 'the same, seen by ThreadSanitizer', 'tsan defer', 15,
    ('lib/defer.c', 'if (!d->nr || !r->rcu.elapsed(r->rcu.ctx, b->cookie))', 'if (!d->nr)'))
bug('mark-in-two-steps', 'put_rcu marks and lowers the count in two steps', 'checker defer_mark defer_both', 20,
    ('lib/frame.c', '	} while (!ramka_cas(&f->ref, &old, (old | REF_MARK) - 1, acq_rel, slot.drop));',
     '	} while (!ramka_cas(&f->ref, &old, old - 1, acq_rel, slot.drop));\n'
     '	if (ref_others(old))\n		ramka_or(&f->ref, REF_MARK, acq_rel, slot.drop);'))
bug('put-rcu-release', 'put_rcu does not acquire', 'checker defer_mark defer_both defer_write', 20,
    ('lib/frame.c', '(old | REF_MARK) - 1, acq_rel, slot.drop)', '(old | REF_MARK) - 1, release, slot.drop)'))
bug('put-rcu-acquire', 'put_rcu does not release', 'checker defer_mark defer_both defer_write', 20,
    ('lib/frame.c', '(old | REF_MARK) - 1, acq_rel, slot.drop)', '(old | REF_MARK) - 1, acquire, slot.drop)'))
bug('mark-ignored', 'a marked frame is freed at once by a plain last put', 'plain defer', 8,
    ('lib/frame.c', 'likely(old == REF_SHARED(1) && home && info_is_plain', 'likely((old & ~REF_MARK) == REF_SHARED(1) && home && info_is_plain'),
    ('lib/frame.c', '	if (old & REF_MARK || info & INFO_RCU)', '	if (info & INFO_RCU)'))
bug('shared-push-relaxed', 'a frame is pushed to the shared stack before its state', 'checker defer_shared', 20,
    ('lib/defer.c', 'c.head, release, defer.shared)', 'c.head, relaxed, defer.shared)'))
bug('shared-take-relaxed', 'the shared stack is taken without what it holds', 'checker defer_shared', 20,
    ('lib/defer.c', 'ramka_xchg(&r->deferred, 0, acquire, defer.shared)', 'ramka_xchg(&r->deferred, 0, relaxed, defer.shared)'))
bug('harvest-snapshot-first', 'a reclaim waits for a period that began before it took the frames', 'checker defer_wait_readers defer_shared', 30,
    ('lib/defer.c', '		for (bool others = true; (all = harvest(cpu, others)).head; others = false) {\n			r->rcu.wait(r->rcu.ctx, r->rcu.snapshot(r->rcu.ctx));',
     '		uint64_t early = r->rcu.snapshot(r->rcu.ctx);\n\n'
     '		for (bool others = true; (all = harvest(cpu, others)).head; others = false) {\n			r->rcu.wait(r->rcu.ctx, early);'))
bug('no-cap', 'put_rcu never says that too much waits', 'unit defer', 10,
    ('lib/defer.c', '	if (likely(waiting <= r->high_water))\n', '	if (likely(waiting <= r->high_water) || waiting)\n'))
bug('bag-loses-tail', 'joining two chains loses the second', 'plain defer', 8,
    ('lib/defer.c', '		set_link(frame_at(r, from->tail), to->head);\n', ''))
bug('qsbr-quiesce-relaxed', 'a quiescent CPU does not say what it read', 'checker qsbr', 20,
    ('lib/rcu/qsbr.c', '	uint64_t now = ramka_load(&q->now, acquire, qsbr.period);\n\n	ramka_store(&q->cpus[cpu].seen, now, release, qsbr.quiesce);',
     '	uint64_t now = ramka_load(&q->now, acquire, qsbr.period);\n\n	ramka_store(&q->cpus[cpu].seen, now, relaxed, qsbr.quiesce);'))
bug('qsbr-online-load', 'a CPU comes on line with a plain load', 'checker qsbr_online', 20,
    ('lib/rcu/qsbr.c', 'now = ramka_add(&q->now, 0, acq_rel, qsbr.period);', 'now = ramka_load(&q->now, acquire, qsbr.period);'))
bug('adapt-finished-relaxed', 'a poller does not see what the readers did', 'checker adapt adapt_again adapt_both', 20,
    ('lib/rcu/adapt.c', 'number_of(word), release, adapt.finished)', 'number_of(word), relaxed, adapt.finished)'))
bug('adapt-joins-running', 'who asks while a grace period runs gets that one', 'checker adapt adapt_again adapt_both', 20,
    ('lib/rcu/adapt.c', '	return number_of(word) + 1;', '	return number_of(word) + !(word & IN_FLIGHT);'))
bug('shared-never-reaped', 'a poll leaves the shared stack alone', 'unit defer', 10,
    ('lib/defer.c', '	p.adopt = unshare(r);\n	if (section_enter(cpu)) {', '	if (section_enter(cpu)) {'))
bug('offline-gives-up', 'a CPU that goes off line while it is drained keeps its frames', 'checker cpu_offline_empties', 20,
    ('lib/cpu.c', 'i < REVOKED_TRIES && holds_frames(cpu)', 'i < 1 && holds_frames(cpu)'))
bug('low-memory-silent', 'the low-memory callback is never called', 'unit cpu', 10,
    ('lib/cpu.c', '	if (exact < r->low_watermark)\n', '	if (!exact && !r->low_watermark)\n'))
bug('table-child-leaked', 'the last child of a page table is not put', 'plain tables', 5,
    ('lib/pt.c', 'for (unsigned i = 0; i < m->config->entries; i++) {', 'for (unsigned i = 0; i + 1 < m->config->entries; i++) {'))
