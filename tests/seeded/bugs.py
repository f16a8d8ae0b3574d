# SPDX-License-Identifier: MIT
"""
The bugs that tests/seeded/run puts into the sources, one at a time, and who must find each.

	name     of the bug
	what     goes wrong, in a few words
	layer    "stress SCENARIO", "plain SCENARIO" (no delays), "tsan SCENARIO", "park POINT", "step OPERATION",
	         "checker CLIENT..." (in turn), "unit PROGRAM", "model PROGRAM", "misuse PROGRAM", "fuzz TARGET"
	seconds  the layer's budget on an idle machine
	edits    (function, old text, new text): the function has the old text exactly once; or
	         weaken(function, pair, operation, order, new order[, number if several of the function are alike])

A function is named without its file, so that it may move; the name of a macro, struct or table stands for its
definition. Where two files have a function of that name, say "NAME beside OTHER": OTHER is defined in the same file.
"""
from csource import Replace, Weaken as weaken

BUGS = []


def bug(name, what, layer, seconds, *edits, **more):
	edits = [Replace(*e) if isinstance(e, tuple) else e for e in edits]
	BUGS.append(dict(name=name, what=what, layer=layer, seconds=seconds, edits=edits, **more))


# ---- depot ----

bug('depot-no-tag', 'neither stack counts its changes: ABA', 'checker depot_stack', 20,
    ('pop', '((old & ~(uint64_t)DEPOT_INDEX) + TAG_ONE)', '(old & ~(uint64_t)DEPOT_INDEX)'),
    ('push', '((old & ~(uint64_t)DEPOT_INDEX) + TAG_ONE)', '(old & ~(uint64_t)DEPOT_INDEX)'))
bug('depot-stale-tag', 'the tag is that of the first look, not of the retry', 'checker depot_stack depot_empties', 20,
    ('pop', 'depot.push);', 'depot.push), first = old;'),
    ('pop', '((old & ~(uint64_t)DEPOT_INDEX)', '((first & ~(uint64_t)DEPOT_INDEX)'),
    ('push', 'depot.look);', 'depot.look), first = old;'),
    ('push', '((old & ~(uint64_t)DEPOT_INDEX)', '((first & ~(uint64_t)DEPOT_INDEX)'))
bug('depot-narrow-tag', 'one bit of tag', 'checker depot_stack depot_empties', 40,
    ('TAG_ONE', '#define TAG_ONE (DEPOT_INDEX + UINT64_C(1))', '#define TAG_ONE (UINT64_C(1) << 63)'))
bug('depot-push-relaxed', 'a magazine is pushed before its content', 'checker depot_stack', 20,
    weaken('push', 'depot.push', 'cas', 'release', 'relaxed'))
bug('depot-head-relaxed', 'the first look at the head does not acquire', 'checker depot_stack depot_empties', 20,
    weaken('pop', 'depot.push', 'load', 'acquire', 'relaxed'))
bug('steal-leaves-one', 'a magazine is taken over but for its last frame', 'plain oom', 5,
    ('take_magazine', 'n = m->count;', 'n = m->count - (m->count > 1);'))

# ---- state word ----

bug('publish-before-meta', 'the frame can be looked up before its metadata is there', 'checker frame_reuse frame_reuse_other_cpu', 20,
    ('make_frame', 'frame_build(r,',
     'slot_set_info(f, e->info);\n	ramka_store(&f->ref, ref, release, slot.publish);\n	frame_build(r,'))
bug('publish-before-type', 'the frame can be looked up before it has its type', 'checker frame_reuse frame_reuse_other_cpu', 20,
    ('make_frame', 'frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT), operation);\n'
     '	return frame_publish(cpu, f, ref, operation) ? f : NULL;',
     'uint64_t info = slot_info(f);\n\n'
     '	frame_build(r, f, e, meta, req.order, 0, !(req.flags & RAMKA_ALLOC_UNINIT), operation);\n'
     '	slot_set_info(f, info);\n	frame_publish(cpu, f, ref, operation);\n	slot_set_info(f, e->info);\n'
     '	return f;'))
bug('publish-before-zero', 'the frame can be looked up before it is zeroed', 'checker frame_zeroed', 20,
    ('make_frame', '!(req.flags & RAMKA_ALLOC_UNINIT), operation);\n	return frame_publish(cpu, f, ref, operation) ? f : NULL;',
     'false, operation);\n	frame_publish(cpu, f, ref, operation);\n	if (!(req.flags & RAMKA_ALLOC_UNINIT))\n'
     '		memset(slot_content(r, f), 0, (size_t)RAMKA_PAGE_SIZE << req.order);\n	return f;'))
bug('publish-relaxed', 'a frame is published before its metadata', 'checker frame_reuse frame_reuse_other_cpu frame_from_unused', 20,
    weaken('frame_publish', 'slot.publish', 'store', 'release', 'relaxed'))
bug('publish-relaxed-cached', 'the same on the shortest way', 'checker frame_hit_lookup', 20,
    weaken('frame_hit', 'slot.publish', 'store', 'release', 'relaxed'))
bug('put-frees-at-two', 'the last reference but one frees', 'plain refs', 5,
    ('reference_gone', 'else if (!others)', 'else if (others <= 1)'))
bug('put-release-only', 'the last put does not see what other holders did', 'checker frame_last_put frame_get_put frame_reuse', 20,
    weaken('drop_reference', 'slot.drop', 'sub', 'acq_rel', 'release'))
bug('put-acquire-only', 'a put does not say what its holder did', 'checker frame_last_put frame_get_put frame_reuse', 20,
    weaken('drop_reference', 'slot.drop', 'sub', 'acq_rel', 'acquire'))
bug('put-release-only-tsan', 'the same, seen by ThreadSanitizer', 'tsan refs', 15,
    weaken('drop_reference', 'slot.drop', 'sub', 'acq_rel', 'release'))
bug('put-release-only-fuzz', 'the same, found by bytes that choose the schedule', 'fuzz schedules', 60,
    weaken('drop_reference', 'slot.drop', 'sub', 'acq_rel', 'release'))
bug('lookup-relaxed', 'from_in_use does not acquire', 'checker frame_reuse frame_reuse_other_cpu frame_share frame_last_put', 20,
    weaken('lookup', 'slot.publish', 'cas', 'acquire', 'relaxed'))
bug('lookup-relaxed-tsan', 'neither does its first look, seen by ThreadSanitizer', 'tsan refs', 15,
    weaken('lookup', 'slot.publish', 'cas', 'acquire', 'relaxed'),
    weaken('ref_found', 'slot.publish', 'load', 'acquire', 'relaxed'))
bug('saturated-relaxed', 'a lookup of a saturated frame does not see its metadata', 'checker pair_free_lookup_saturate', 20,
    weaken('saturate', 'slot.publish', 'store', 'release', 'relaxed'))
bug('type-entry-early', 'a type can be found by its id before its entry is there', 'checker pair_free_lookup_register pair_free_register_walk', 20,
    weaken('enter_type', 'type.entry', 'store', 'release', 'relaxed'))
bug('lookup-revives', 'from_in_use takes a frame whose last reference is gone', 'stress refs', 15,
    ('lookup', 'if (ref_is_dying(ref))\n			return RAMKA_E_BUSY;\n'
     '		if (ref_others(ref) >= REF_MAX - 1)',
     'if (ref_others(ref) >= REF_MAX - 1 && (ref & ~REF_MARK) != REF_SHARED(0))'))
bug('low-memory-nests', 'low_memory is called for what it allocates itself', 'misuse handles', 10,
    ('tell_level', ' ||\n	    ramka_xchg(&r->telling_low, 1, relaxed, low.telling))', ')'),
    ('tell_level', 'if ((ramka_xchg(is_low, low, relaxed, low.telling) != 0) != low && callback) {', 'if (callback) {'),
    ('tell_level', '		callback(r->ctx, free_frames);', '		callback(r->ctx, free_frames);\n		ramka_store(is_low, low, relaxed, low.telling);'))
bug('low-memory-again', 'low_memory is called at each refill while memory is low', 'unit watermarks', 10,
    ('tell_level', '(ramka_load(is_low, relaxed, low.telling) != 0) == low ||\n	    ramka_xchg', 'ramka_xchg'),
    ('tell_level', '(ramka_xchg(is_low, low, relaxed, low.telling) != 0) != low && callback', 'callback'))
bug('reserve-served', 'the last frame of the reserve serves any request', 'unit watermarks', 10,
    ('account_above_min', 'n <= min ? 0 : n - min < nr ? n - min : nr', 'n < min ? 0 : n - min + 1 < nr ? n - min + 1 : nr'))
bug('reserve-cached', 'a request that takes from the reserve fills the cache', 'unit watermarks', 10,
    ('refill_from_zone', '(uint32_t)account_spare(cpu, batch < cpu->keep ? batch : cpu->keep)', 'ramka_load(&r->batch, relaxed, stat)'))
bug('shrink-recurses', 'a request of the shrinker calls it again', 'unit watermarks', 10,
    ('shrink', ' ||\n	    ramka_xchg(&cpu->shrinking, 1, relaxed, low.telling))', ')'))
bug('shrink-recurses-cpu', 'the same, on a CPU beside another', 'checker shrink', 20,
    ('shrink', ' ||\n	    ramka_xchg(&cpu->shrinking, 1, relaxed, low.telling))', ')'))
bug('shrink-recurses-handler', 'a handler on top of the shrinker calls it again', 'checker shrink_handler', 20,
    ('shrink', ' ||\n	    ramka_xchg(&cpu->shrinking, 1, relaxed, low.telling))', ')'))
bug('shrink-two-at-once', 'two without a CPU are inside the shrinker at once', 'checker shrink_three', 20,
    ('shrink', 'ramka_xchg(&cpu->shrinking, 1, relaxed, low.telling))',
     '(!cpu->cacheless && ramka_xchg(&cpu->shrinking, 1, relaxed, low.telling)))'))
bug('shrink-adds-race', 'the shrinker adds memory while another adds the same', 'checker shrink_adds', 20,
    ('changing_begin', 'return ramka_cas(&r->changing, &none, 1, acquire, map.changing);',
     'ramka_cas(&r->changing, &none, 1, acquire, map.changing);\n	return true;'))
bug('reserve-for-nobody', 'a request for the reserve is refused like any other', 'checker reserve', 20,
    ('allowed', 'req.flags & RAMKA_ALLOC_RESERVE || account_spare', 'account_spare'))
bug('reserve-for-nobody-stress', 'the same, seen by threads', 'plain low', 5,
    ('allowed', 'req.flags & RAMKA_ALLOC_RESERVE || account_spare', 'account_spare'))
bug('shrink-recurses-stress', 'a request of the shrinker calls it again, seen by threads', 'plain low', 5,
    ('shrink', ' ||\n	    ramka_xchg(&cpu->shrinking, 1, relaxed, low.telling))', ')'))
bug('reserve-spent-slowly', 'an ordinary request that the cache does not serve gets one frame of the reserve', 'checker reserve', 20,
    ('allowed', 'account_spare(cpu, nr) == nr', 'account_spare(cpu, nr) + 1 >= nr'))
bug('low-two-at-once', 'two are told at once that memory is low or not', 'checker watermarks', 20,
    ('tell_level', ' ||\n	    ramka_xchg(&r->telling_low, 1, relaxed, low.telling))', ')'))
bug('low-told-twice', 'a level that another call has just told is told again', 'checker watermarks_none', 20,
    ('tell_level', '(ramka_xchg(is_low, low, relaxed, low.telling) != 0) != low && callback',
     'ramka_store(is_low, low, relaxed, low.telling), callback'))
bug('estimate-late', 'what is taken is told as late as what comes back', 'unit cpu', 10,
    ('set_steps', '	cpu->tell_back = part >', '	cpu->tell_at = cpu->tell_back = part >'))
bug('estimate-eager', 'what comes back is told as early as what is taken', 'unit cpu', 10,
    ('set_steps', '	cpu->tell_back = part > cpu->tell_at ? part : cpu->tell_at;', ''))
bug('estimate-twice', 'a drain tells the zone what it was told already', 'unit cpu', 10,
    ('ask_gates_again', '	ramka_store(&cpu->untold, 0, relaxed, stat);\n', ''))
bug('estimate-late-isolated', 'what may stay untold is what it was before memory was isolated', 'unit watermarks', 10,
    ('ask_gates_again', 'lean_look_again(cpu);\n	cpu->tell_at = cpu->tell_back = 1;', ';'),
    ('lean_look', '		lean_look_again(cpu);', '		;'))
bug('lean-refill', 'a lean CPU refills its cache with a batch', 'checker parked_lean', 10,
    ('refill_from_zone', 'batch < cpu->keep ? batch : cpu->keep', 'batch'))
bug('lean-cached', 'a lean CPU caches what it frees', 'checker parked_lean', 10,
    ('free_cached', 'if (HOT_COUNT(hot) >= cpu->most)', 'if (HOT_COUNT(hot) == CACHE_SIZE)'),
    ('cpu_keep', 'unlikely(HOT_COUNT(hot) >= cpu->most)', 'unlikely(HOT_COUNT(hot) == CACHE_SIZE)'))
bug('lean-row', 'a lean CPU leaves what it frees in a row', 'checker parked_lean', 10,
    ('free_lean', '	give_rows(cpu);\n', ''))
bug('lean-keeps-stacks', 'a CPU that becomes lean keeps its stacks and its outbox', 'unit cpu', 10,
    ('lean_look_again', '			lean_give(cpu);\n', ''))
bug('lean-for-ever', 'a lean CPU that only frees stays lean', 'unit cpu', 10,
    ('free_lean', '	lean_look(cpu);\n', ''))
bug('lean-by-rumour', 'what other CPUs gave back and have not told does not count', 'unit cpu', 10,
    ('account_part', 'cpu->untold_elsewhere = untold_elsewhere(cpu);', ';'))
bug('lean-never', 'no CPU is ever lean, and each refill brings a batch', 'stress brim', 10,
    ('refill_from_zone', 'batch < cpu->keep ? batch : cpu->keep', 'batch'),
    ('lean_look_again', 'if (part < below) {', 'if (part < below && !below) {'))
bug('adopted-lost', 'a CPU does not find the territories again that it adopted behind its own', 'unit zone', 10,
    ('add_to', 't < own->end ? own->end : t + 1', 'own->end'))
bug('share-of-a-hole', 'the share of the first CPUs is a hole, or scarce', 'unit cpu', 10,
    ('territory_give', '(z->scarce ? z->scarce : z->low / BLOCK_FRAMES) >> z->territory_shift', '0'))
bug('chunk-without-last', 'the last four blocks of a chunk are not looked at', 'unit zone', 10,
    ('chunk_has', 'for (; quad < end; quad++)', 'for (; quad + 1 < end; quad++)'))
bug('search-past-quad', 'a search for a run passes over a quad that has one', 'unit zone', 10,
    ('zone_next_hopeful', 'return at > block ? at : block + 1;', 'return at + QUAD_BLOCKS;'))
bug('lasting-scattered', 'frames that last are taken wherever others are', 'unit lasting', 10,
    ('territory_pick_lasting', 'zone_set_lasting(z, block, true);', ''))
bug('lasting-place-lost', 'a freed frame of a lasting block is cached for others', 'unit lasting', 10,
    ('gate_passes', '(entry_gate_count(bitmap_entry(&cpu->zone->map, block)) > cpu->gate ||\n				 zone_is_lasting(cpu->zone, block))',
     'entry_gate_count(bitmap_entry(&cpu->zone->map, block)) > cpu->gate'))
bug('lasting-for-ever', 'a block that became whole stays lasting whoever takes it', 'unit lasting', 10,
    ('territory_pick', 'zone_set_lasting(z, block, false);', ';'))
bug('scarce-first', 'the pass that believes no hint begins with scarce memory', 'unit lasting', 10,
    ('zone_alloc_exhaustive', 'if (z->scarce && limit == z->end)', 'if (false)'))
bug('shuffle-one-order', 'RAMKA_SHUFFLE takes no notice of the seed', 'misuse handles', 10,
    ('random_start', 'uint64_t x = seed +', 'uint64_t x = (seed & 0) +'))
bug('join-leaves-open', 'the blocks of a joined frame are not claimed whole', 'unit unique', 10,
    ('zone_join', 'bitmap_close_block(&z->map, bit / BLOCK_FRAMES + i);', ';'))
bug('join-empties-bits', 'a block that is joined keeps its bits cleared: they are free once it is whole', 'checker bitmap_join', 20,
    ('bitmap_close_block', '~(uint64_t)0', '0'))
bug('solid-part-rounded-down', 'a part of the span that a hole reaches into counts as one without', 'unit frame', 10,
    ('instance_find_solid', '(first - r->first + (UINT64_C(1) << r->solid_shift) - 1)', '(first - r->first)'))
bug('repurpose-nests-drops', 'an on_drop that repurpose runs is no runner: what it puts is dropped inside it', 'misuse callbacks', 10,
    ('ramka_unique_repurpose', 'runner = info & INFO_HOOK && drop_begin(cpu);', 'runner = false;'),
    ('ramka_unique_repurpose', 'if (info & INFO_HOOK && !runner && !cpu->cacheless)', 'if (false)'))
bug('try-unique-relaxed', 'the sole owner does not see what others did', 'checker frame_try_unique', 20,
    weaken('ramka_frame_try_unique', 'slot.drop', 'cas', 'acquire', 'relaxed'))
bug('try-unique-marked', 'a frame that put_rcu marked becomes unique: readers may still look', 'checker defer_try_unique', 20,
    ('ramka_frame_try_unique', 'contract_abort(r, f);',
     'if (sole == (REF_SHARED(1) | REF_MARK) && ramka_cas(&f->ref, &sole, REF_UNIQUE, acquire, slot.drop))\n'
     '		return unique_of(f);\n	contract_abort(r, f);'))
bug('share-relaxed', 'a shared frame shows itself before what its owner wrote', 'checker frame_share', 20,
    weaken('ramka_unique_share', 'slot.publish', 'store', 'release', 'relaxed'))
bug('double-put-accepted', 'a put too many frees again', 'misuse panics', 10,
    ('reference_gone', 'if (unlikely(others >= REF_MAX))\n		put_failed(cpu->r, f, old, operation);\n	else if (!others)',
     'if (unlikely(others >= REF_MAX) && old != REF_FREE)\n		put_failed(cpu->r, f, old, operation);\n'
     '	else if (!others || old == REF_FREE)'))
bug('stray-get-undone', 'a get of a dying frame is undone by subtracting', 'checker frame_stray_get', 20,
    ('get_failed', 'undo(f, old, old + 1);', 'ramka_sub(&f->ref, 1, relaxed, slot.undo);'))
bug('saturates-too-late', 'a get at the top of the count goes on counting', 'unit frame', 10,
    ('get_failed', '		saturate(r, f, old, operation);\n', ''))
bug('saturates-below-top', 'at its top the count goes one back instead of staying for ever', 'checker frame_saturate', 20,
    ('saturate', 'ramka_store(&f->ref, REF_SATURATED,', 'ramka_store(&f->ref, REF_SHARED(REF_MAX - 1),'))
bug('callback-twice', 'on_drop runs twice', 'plain refs', 5,
    ('end_one', 'frame_take_back(cpu, f, info, operation);',
     'frame_drop_meta(cpu, f, info);\n	frame_take_back(cpu, f, info, operation);'))
bug('callback-skipped-in-chain', 'frames that waited for their turn are freed without on_drop', 'plain refs', 5,
    ('drop_end', '			end_one(cpu, f, operation);', '			frame_take_back(cpu, f, slot_info(f), operation);'))
bug('chain-loses-one', 'of the frames that wait for their turn, only the newest is dropped', 'plain refs', 5,
    ('drop_end', 'old = ref_link(slot_ref(f));', 'old = 0;'))

# ---- section ----

bug('section-not-nested', 'a handler on top of a call opens the section again', 'stress nested', 10,
    ('section_enter', '	if (unlikely(ramka_load(&cpu->active, relaxed, section.own)))\n		return false;\n', ''))
bug('section-not-nested-step', 'the same, at each instruction of one call', 'step put', 10,
    ('section_enter', '	if (unlikely(ramka_load(&cpu->active, relaxed, section.own)))\n		return false;\n', ''))
bug('handler-drop-lost', 'what a handler drops while on_drop runs is forgotten', 'checker drop_irq', 20,
    ('drop_end', 'if (ramka_cas(&cpu->pending, &old, PENDING_NONE, relaxed, drop.pending))\n			return;',
     'ramka_store(&cpu->pending, PENDING_NONE, relaxed, drop.pending);\n		return;'))
bug('section-ignores-revoked', 'the owner goes on while a drainer has its cache', 'stress drain', 10,
    ('section_enter', 'if (likely(!ramka_load(&cpu->revoked, acquire, section.revoke)))\n		return true;', 'return true;'))
bug('drain-ignores-active', 'a drainer takes the cache of a CPU that is inside a call', 'stress drain', 10,
    ('cpu_for_each_stopped', 'if (!stopped || ramka_load(&cpu->active, acquire, section.leave))', 'if (!stopped)'))
bug('drain-without-barrier', 'a declined barrier counts as done', 'checker cpu_drain', 30,
    ('cpu_for_each_stopped', 'stopped = mine && r->barrier_all_cpus(r->ctx);', 'stopped = true;'))
bug('drain-active-relaxed', 'a drainer does not see what the last call did', 'checker cpu_drain', 20,
    weaken('cpu_for_each_stopped', 'section.leave', 'load', 'acquire', 'relaxed'))
bug('revoked-relaxed', 'the owner does not see what the drainer did', 'checker cpu_drain cpu_drain_twice', 20,
    weaken('section_enter', 'section.revoke', 'load', 'acquire', 'relaxed'))
bug('leave-relaxed', 'leaving the section does not release', 'tsan drain', 15,
    weaken('section_leave', 'section.leave', 'store', 'release', 'relaxed'))
bug('revoked-for-ever', 'a CPU that was left alone stays revoked', 'checker cpu_reopens cpu_drain', 20,
    ('cpu_for_each_stopped', 'section.leave))\n				all = false;\n			else\n				take(cpu,',
     'section.leave)) {\n				all = false;\n				continue;\n			}\n			take(cpu,'))
bug('offline-keeps-cache', 'a CPU goes off line with its cache', 'plain hotplug', 6,
    ('ramka_cpu_offline', '	cpu_drain_own(cpu);\n', ''))
bug('offline-tries-for-nothing', 'a handler that takes its CPU off line waits for the call below it', 'checker cpu_offline_irq', 20,
    ('cpu_drain_own', '!ramka_load(&cpu->active, relaxed, section.own);', 'true;'))
bug('offline-keeps-shard', 'a CPU goes off line with its full magazines', 'unit cpu', 10,
    ('cpu_drain_own', 'drain_shard(cpu->r, cpu->id, &d);', ';'))
bug('offline-keeps-deferred', 'a CPU goes off line with its bags', 'unit defer', 10,
    ('ramka_cpu_offline', '	defer_offline(cpu);\n', ''))
bug('drain-forgets-rows', 'a drain empties the cache but not the rows', 'plain oom', 5,
    ('lean_give', '	flush_rows(cpu);\n', ''))
bug('flush-copies-top', 'a full magazine holds the frames that stay in the cache', 'plain churn', 5,
    ('flush', 'memcpy(m->frames, cache_of(cpu)->frames,', 'memcpy(m->frames, cache_of(cpu)->frames + (n - out),'))
bug('cache-overruns', 'the cache is full one frame too late', 'unit cpu', 10,
    ('cpu_keep', 'unlikely(HOT_COUNT(hot) >= cpu->most)', 'unlikely(HOT_COUNT(hot) > cpu->most)'),
    ('free_cached', 'if (HOT_COUNT(hot) >= cpu->most)', 'if (HOT_COUNT(hot) > cpu->most)'))

# ---- zone ----

bug('free-counts-first', 'the count is raised before the bits are set', 'park bit.free', 20,
    ('bitmap_set_mask', '	do\n', '	if (!(entry & ENTRY_HUGE) && !(old & mask))\n'
     '		raise_count(b, word / BLOCK_WORDS, bits_count(mask), ENTRY_HINT_MAX);\n	do\n'),
    ('bitmap_set_words', '	for (unsigned i = 1; i < nr; i++)\n		if',
     '	raise_count(b, word / BLOCK_WORDS, nr * WORD_BITS, ENTRY_HINT_MAX);\n	for (unsigned i = 1; i < nr; i++)\n		if'),
    ('bitmap_count_in', 'return raise_count(b, block, n, run);', '(void)run;\n	return b && block + n;'),
    ('bitmap_free_mask', ' && raise_count(b, word / BLOCK_WORDS, n, run) ? n : 0;', ' ? n : 0;'),
    ('bitmap_free', ' && raise_count(b, frame / BLOCK_FRAMES, n, run);', ' > 0;'))
bug('block-forgets-run', 'words that are counted together are hinted by the last one', 'checker bitmap_together', 30,
    ('bitmap_set_mask', '*run = largest > *run ? largest : *run;', '*run = largest;'))
bug('block-counts-last', 'of a block to which many frames go the last word is counted', 'unit classes', 10,
    ('give_runs', 'uncounted += set;', 'uncounted = set;'))
bug('words-freed-twice', 'two calls that free a run of words at once are both believed', 'checker bitmap_words_twice bitmap_order7_twice', 30,
    ('bitmap_set_words', 'if (!ramka_cas(&words[0], &old, ~(uint64_t)0, release, bit.free))\n\t\treturn 0;',
     'if ((old = ramka_load(&words[0], relaxed, bit.look)))\n\t\treturn 0;\n\tramka_store(&words[0], ~(uint64_t)0, release, bit.free);'),
    hangs=True)
bug('exact-without-promise', 'an exact claim clears its bit without a promise', 'checker bitmap_exact', 20,
    ('bitmap_claim_mask', '!= mask || !promise(b, block, n, n))', '!= mask)'),
    ('bitmap_claim_mask', 'return true;', 'return promise(b, block, n, n);'),
    hangs=True)
bug('exact-loses-promise', 'an exact claim that fails keeps its promise', 'checker bitmap_exact', 30,
    ('bitmap_claim_mask', '	give_back(b, block, n);\n', ''))
bug('back-without-hint', 'what goes back to an empty block may be a run, and its entry says there is none', 'checker bitmap_run_back', 30,
    ('give_back', 'raise_count(b, block, n, ENTRY_HINT_MAX);', 'raise_count(b, block, n, 0);'))
bug('seen-is-still-own', 'a block that an earlier search saw is picked though it is another CPU\'s by now', 'unit zone', 10,
    ('still_fits', 'is_own(z, block >> z->territory_shift, me)', '(me || true)'))
bug('hint-lowered-blindly', 'a run that moved past a search stays hidden', 'checker bitmap_run_moves', 30,
    ('lower_hint', 'set_hint(b, block, 0, ENTRY_HINT_MAX);', ';'))
bug('undo-sets-nothing', 'an undo gives the promise back without its bits', 'checker bitmap_words', 30,
    ('claim_words', 'ramka_or(&words[i], ~(uint64_t)0, release, bit.free);', ';'))
bug('undo-forgets-first', 'the undo of a run of words leaves its first', 'checker bitmap_words', 30,
    ('claim_words', 'while (i--)', 'while (--i && i < nr)'))
bug('undo-one-too-many', 'the undo of a run of words frees one that another has', 'checker bitmap_words', 30,
    ('claim_words', 'while (i--)', 'i++;\n		while (i--)'))
bug('undo-wrong-word', 'the undo of a run of words counts from its end', 'checker bitmap_words', 30,
    ('claim_words', 'ramka_or(&words[i],', 'ramka_or(&words[nr - 1 - i],'))
bug('closes-early', 'a block counts as whole with one frame missing', 'unit bitmap', 20,
    ('raise_count', '|= count == BLOCK_FRAMES ? ENTRY_FULL :', '|= count >= BLOCK_FRAMES - 1 ? ENTRY_FULL :'),
    hangs=True)
bug('undo-blocks-short', 'the undo of a run of blocks leaves some claimed', 'stress huge', 15,
    ('claim_blocks', 'bitmap_free_blocks(b, block, i);', 'bitmap_free_blocks(b, block, i - step);'))
bug('huge-free-relaxed', 'a freed huge frame does not show what its owner did', 'checker bitmap_huge_pair bitmap_close', 30,
    weaken('entries_from_to', 'huge.free', 'cas', 'acq_rel', 'relaxed'))
bug('hint-tests-first', 'a setter of a hint looks before it sets', 'checker bitmap_hints bitmap_hints_whole bitmap_hints_fix', 60,
    ('hints_set_mask', 'if (!(ramka_or(leaf(h, chunk),',
     'if (ramka_load(leaf(h, chunk), relaxed, hint) & mask)\n\t\treturn;\n\tif (!(ramka_or(leaf(h, chunk),'))
bug('hint-forgets-any', 'a search empties a word of hints that has one by now', 'checker bitmap_hints_levels', 60,
    ('hints_forget', 'if (ramka_cas(leaf(h, chunk), &told, 0, relaxed, hint) || !told)',
     'if (ramka_xchg(leaf(h, chunk), told & 0, relaxed, hint) | 1)'))
bug('hint-forgets-blindly', 'a search clears the bit above a word of hints and does not look again', 'checker bitmap_hints_levels', 60,
    ('hints_clear_up', 'if (ramka_load(word_at(h, level - 1, word), relaxed, hint))', 'if (false)'))
bug('hint-not-read-again', 'a hint is cleared without another look', 'checker bitmap_hints', 30,
    ('hints_clear', '	if (hint_wanted(b, h, block))\n		hints_set(h, block);\n', ''))
bug('hint-set-relaxed', 'a hint is set without what it says', 'checker bitmap_hints bitmap_hints_whole', 30,
    weaken('hints_set_mask', 'hint', 'or', 'release', 'relaxed'))
bug('scan-once', 'who holds a promise gives up after one pass', 'checker bitmap_scan', 30,
    ('fill_one', 'for (unsigned i = start;; i++) {', 'for (unsigned i = start; i < start + BLOCK_WORDS; i++) {'),
    ('fill_one', '}\n	}', '}\n	}\n	return NO_FRAME;'))
bug('take-keeps-rest', 'a refill that finds fewer frames than promised keeps the rest', 'stress oom', 10,
    ('bitmap_take', '	if (bits_count(mask) < n)\n		give_back(b, block, n - bits_count(mask));\n', ''))
bug('run-not-aligned', 'a run is taken wherever it begins', 'unit bitmap', 5,
    ('bits_run_starts', 'return w & bits_multiples(order);', 'return order == 2 ? w : w & bits_multiples(order);'))
bug('split-loses-last', 'of a split huge frame one block stays claimed as a whole', 'plain churn', 8,
    ('zone_split', 'i < 1u << (old_order - BLOCK_ORDER);', 'i + 1 < 1u << (old_order - BLOCK_ORDER);'))
bug('split-keeps-bits', 'a split huge frame still has its bits', 'plain churn', 8,
    ('bitmap_open_block', '	set_all_bits(b, block, 0);\n', ''))
bug('all-keeps-bits', 'all frames of a block are taken, and their bits stay', 'checker bitmap_all_take', 20,
    ('bitmap_take_blocks', 'set_all_bits(b, quad * QUAD_BLOCKS + bits_lowest(rest), 0);', ';'))
bug('all-count-first', 'the frames of a block are counted before their bits are set', 'checker bitmap_all', 20,
    ('bitmap_free_all', '	set_all_bits(b, block, ~(uint64_t)0);\n	return raise_count(b, block, BLOCK_FRAMES, ENTRY_HINT_MAX);',
     '	bool ok = raise_count(b, block, BLOCK_FRAMES, ENTRY_HINT_MAX);\n	set_all_bits(b, block, ~(uint64_t)0);\n	return ok;'))
bug('all-without-looking', 'a block whose frames are partly free is freed as one', 'unit bitmap', 10,
    ('bitmap_free_all', 'if (bitmap_word(b, block, i))', 'if (false)'))
bug('search-skipped-for-ever', 'a CPU that found no partly used block looks for none any more', 'unit zone', 20,
    ('pick_own', 'own->skips--;', ';'))
bug('trim-too-far', 'what a segment leaves of its run is freed one frame early', 'plain segments', 5,
    ('try_trimmed', 'bit + (uint32_t)nr, (1u << order) - (uint32_t)nr)',
     'bit + (uint32_t)nr - 1, (1u << order) - (uint32_t)nr + 1)'))
bug('trim-keeps-rest', 'what a segment leaves of its run is lost', 'plain segments', 5,
    ('try_trimmed', '	zone_give_back(z, bit + (uint32_t)nr, (1u << order) - (uint32_t)nr);\n', ''))

# ---- no memory ----

bug('nomem-no-last-resort', 'no memory is said without draining', 'plain oom', 5,
    ('cpu_alloc_slow', 'return f ? f : last_resort(cpu, req, nr, try_exhaustive);', 'return f;'))
bug('nomem-no-drain', 'the last pass does not drain the caches first', 'plain oom', 5,
    ('last_resort', 'bool all = useless || (!wait && cpu_drain_all(r, cpu, &d)), moved;', 'bool all = true, moved;'))
bug('nomem-one-round', 'the pass is not repeated when frames moved', 'checker nomem_last_frame nomem_last_frames nomem_refill', 60,
    ('last_resort', 'if (!moved && (all || (!wait && !r->barrier_all_cpus)))\n			break;', '(void)all;\n		break;'))
bug('nomem-trim-uncounted', 'the rest of a trimmed run comes back past a scan', 'checker nomem_trim_none nomem_trim', 60,
    ('zone_give_back', '	ramka_add(&z->map.returned, 1, release, nomem.collect);\n', ''))
bug('mail-loses-one', 'a list of letters goes to its owner without the last one', 'checker cpu_mail cpu_mail_drain', 30,
    ('send', 'm->count = take_letters(cpu, &cpu->outbox->letters[owner], MAGAZINE_SIZE, m->frames);',
     'm->count = take_letters(cpu, &cpu->outbox->letters[owner], MAGAZINE_SIZE, m->frames) - 1;'))
bug('mail-not-drained', 'a drain leaves the outbox alone', 'checker cpu_mail_drain cpu_mail', 30,
    ('lean_give', '	mail_flush(cpu);\n', ''))
bug('larger-not-drained', 'a drain leaves the stacks of larger orders alone', 'unit cpu', 10,
    ('lean_give', '	order_flush_all(cpu);\n', ''))
bug('larger-gives-twice', 'a flush of a stack keeps what it gave', 'unit classes', 20,
    ('flush_order', 'larger[order], n - out, release', 'larger[order], n - out + (n > out), release'))
bug('runs-keep-rest', 'a refill of runs that finds fewer than promised keeps the rest', 'checker bitmap_runs', 30,
    ('bitmap_take_runs', 'if (promised > got * n)', 'if (promised > (got + 1) * n)'))
bug('nomem-slow-free-uncounted', 'a frame that is freed past the caches is counted before and not after', 'checker nomem_past_caches', 20,
    ('cpu_free_slow', '	count_move(cpu, inside);\n	if (inside)\n		section_leave', '	if (inside)\n		section_leave'))
bug('nomem-forgets-skipped', 'a CPU that was left alone does not count', 'checker nomem_last_frame nomem_last_frames nomem_refill', 60,
    ('last_resort', 'if (!moved && (all ||', 'if (!moved && (all | 1 ||'))
bug('refill-all-or-nothing', 'a refill that cannot have its batch takes nothing', 'plain oom', 5,
    ('bitmap_take', 'n = promise(b, block, 1, w ? max : 1);',
     'n = promise(b, block, w ? max : 1, w ? max : 1);\n	if (n < 64)\n'
     '		return n && raise_count(b, block, n, 0) ? 0 : 0;'),
    ('bitmap_claim_any', 'count.raise), block)))', 'count.raise), block)) >= 64)'))

# ---- by address, requests, set-up ----

bug('claim-without-taking', 'a free frame is claimed and stays in the bitmap', 'plain claimers', 5,
    ('claim_run', 'if (bitmap_claim_exact(&z->map, bit, order))', 'if (bitmap_is_free(&z->map, bit))'))
bug('claim-cached-by-others', 'a frame in another CPU\'s cache can be claimed', 'plain claimers', 5,
    ('claim_drained', 'return RAMKA_E_BUSY;', 'return 0;'),
    ('claim_drained', 'cpu_drain_all(cpu->r, cpu, &d);', ';'))
bug('claim-accepts-free', 'a claim of a free frame leaves it where it is', 'checker frame_claim_alloc', 20,
    ('frame_claim', 'rc = cpu_claim(cpu, f, 0, &used);', 'rc = 0;'))
bug('claim-not-exclusive', 'two claims of unused memory both succeed', 'checker frame_from_unused', 20,
    ('frame_claim', 'if (!ramka_cas(&f->ref, &ref, REF_BUSY((uint64_t)0), acquire, slot.claim))\n'
     '			return RAMKA_E_BUSY;',
     'ramka_store(&f->ref, REF_BUSY((uint64_t)0), relaxed, slot.claim);'))
bug('claim-relaxed', 'a claim does not see what the last owner did', 'checker frame_from_unused range_claim_detached', 20,
    weaken('frame_claim', 'slot.claim', 'cas', 'acquire', 'relaxed'))
bug('segment-undo-short', 'a claim of a range that fails keeps its first frame', 'plain segments', 5,
    ('claim_all', 'while (i--)', 'while (i-- > 1)'))
bug('detached-becomes-free', 'frames claimed from unused memory are freed into the allocator', 'plain claimers', 5,
    ('frame_take_back', 'if (likely(!(info & INFO_DETACHED)))', 'if (likely(!(info & INFO_DETACHED && info & INFO_HOOK)))'))
bug('zero-skipped-for-orders', 'frames of order 1 and above are zeroed in their first page only', 'plain churn', 5,
    ('frame_build', 'clear_content(slot_content(r, f), order);', 'clear_content(slot_content(r, f), 0);'))
bug('steal-after-zone', 'with RAMKA_CACHE_ALL a CPU takes from the zone what another has cached', 'checker cpu_steal_all', 20,
    ('cpu_alloc_refill', 'if (!n && caches_all(cpu)) /*', 'if (false) /*'))
bug('zero-skipped-after-steal', 'a frame out of another CPU\'s magazine is not zeroed', 'unit cpu', 10,
    ('make_frame', 'f = take(cpu, req, operation);\n	if (unlikely(!f))\n		return NULL;',
     'uint64_t steals = ramka_load(&cpu->steals, relaxed, stat);\n\n	f = take(cpu, req, operation);\n'
     '	if (unlikely(!f))\n		return NULL;\n	if (ramka_load(&cpu->steals, relaxed, stat) != steals)\n'
     '		req.flags |= RAMKA_ALLOC_UNINIT;'))
bug('zero-skipped-in-bulk', 'bulk frames are never zeroed', 'plain bulk', 5,
    ('take_bulk', '0, zero, operation);', '0, false, operation);'))
bug('bulk-word-not-looked-at', 'a bulk call hands out a frame whose word was changed while it was free', 'misuse corruption', 10,
    ('hand_out', 'if (unlikely(slot_ref(f) != REF_FREE))', 'if (false)'))
bug('huge-cleared-short', 'the last line of a huge frame keeps what its last owner wrote', 'unit frame', 10,
    ('clear_content', '!clear_past_caches(content, size)', '!clear_past_caches(content, size - 64)'))
bug('order-not-checked', 'a request beyond the largest order is let through', 'unit frame', 10,
    ('request_valid', 'return req.order <= RAMKA_MAX_ORDER &&', 'return req.order <= RAMKA_MAX_ORDER + 14 &&'))
bug('limit-off-by-one', 'a frame may end beyond the limit of the address', 'unit zone', 10,
    ('limit_in_block', 'limit - first < BLOCK_FRAMES ? limit - first :',
     'limit - first < BLOCK_FRAMES ? limit - first + 1 :'))
bug('region-one-too-long', 'each usable region gives one frame too many', 'plain pipe', 5,
    ('init_usable', 'bitmap_fill(&z->map, (uint32_t)(first - z->origin), (uint32_t)(end - z->origin));',
     'bitmap_fill(&z->map, (uint32_t)(first - z->origin), (uint32_t)(end - z->origin) + 1);'))
bug('hole-usable', 'MMIO is handed out', 'unit map', 5,
    ('emit', 'kind = MAP_HOLE;\n	if (kind == MAP_HOLE)', 'kind = RAMKA_USABLE;\n	if (kind == MAP_HOLE)'))
bug('shared-frame-weaker', 'a frame that two regions share goes to the less restrictive one', 'fuzz maps', 20,
    ('add_stretch', 'if (rank_of(kind) > rank_of(b->shared_kind))', 'if (rank_of(kind) < rank_of(b->shared_kind))'))
bug('slice-counts-whole', 'a slice takes its references at the segment\'s start', 'fuzz ops', 90,
    ('ramka_segment_slice', '(struct ramka_segment){ s.base + from, to - from }, "ramka_segment_slice");',
     '(struct ramka_segment){ s.base, to - from }, "ramka_segment_slice");\n	part.base += from;'))
bug('bulk-put-skips', 'a bulk put forgets its last frame', 'model sequences', 30,
    ('ramka_frame_put_bulk', '	while (n) {', '	n -= n > 3;\n	while (n) {'))

# ---- broken frames ----

bug('broken-not-stopped', 'a frame that is just freed as a whole one counts as flagged', 'checker broken_put broken_free', 30,
    ('sections_over', 'return !r->barrier_all_cpus || cpu_for_each_stopped(r, cpu, look_on, NULL);', 'return true;'))
bug('broken-asked-early', 'a free looks at the flags before its section', 'checker broken_put broken_free', 30,
    ('drop_reference', 'likely(section_enter(cpu))', 'info_is_plain(slot_info(f)) && likely(section_enter(cpu))'),
    ('free_unique', 'likely(section_enter(cpu))', 'info_is_plain(slot_info(f)) && likely(section_enter(cpu))'),
    ('cpu_free_inside', 'if (unlikely(!info_is_plain(slot_info(f))))', 'if (0)'))
bug('broken-order-unasked', 'a larger frame goes to its stack with its flag', 'unit broken', 20,
    ('cpu_take_back', 'bool broken = slot_info(f) & INFO_BROKEN;', 'bool broken = false;'),
    ('cpu_free_larger_inside', 'info_bare_order(slot_info(f))', 'info_bare_order(slot_info(f) & ~(uint64_t)INFO_BROKEN)'))
bug('broken-split-forgets', 'the parts of a split frame lose the flag', 'unit broken', 20,
    ('split_parts', 'unlikely(broken) ? broken_flags(part, order) : 0', '0 * broken'))
bug('broken-join-forgets', 'the whole does not know of a broken part', 'unit broken', 20,
    ('ramka_unique_join', 'if (unlikely(slot_last_info(part) & INFO_BROKEN))', 'if (0)'))
bug('broken-list-forgets', 'a list clears the flag', 'unit broken', 20,
    ('set_list', 'slot_change_info(slot_of(u), slot_info(slot_of(u)) & INFO_LIST_MASK, (uint64_t)id << INFO_LIST_SHIFT);',
     'slot_set_info(slot_of(u), (slot_info(slot_of(u)) & ~(INFO_LIST_MASK | INFO_BROKEN)) | (uint64_t)id << INFO_LIST_SHIFT);'))
bug('broken-type-forgets', 'a new type clears the flag', 'unit broken', 20,
    ('ramka_unique_repurpose', '(INFO_DETACHED | INFO_BROKEN)', 'INFO_DETACHED'))

bug('broken-unclaimed', 'a free frame is broken and still handed out', 'checker broken_claim broken_isolate', 30,
    ('set_bad', 'if (ref_tag(ref) != TAG_FREE || cpu_claim(cpu, f, 0, &used))',
     'if (ref_tag(ref) != TAG_FREE || (cpu_claim(cpu, f, 0, &used), slot_ref(f)))'))
bug('broken-unclaimed-stress', 'the same, seen by threads', 'plain broken', 5,
    ('set_bad', 'if (ref_tag(ref) != TAG_FREE || cpu_claim(cpu, f, 0, &used))',
     'if (ref_tag(ref) != TAG_FREE || (cpu_claim(cpu, f, 0, &used), slot_ref(f)))'))
bug('report-nothing-taken-stress', 'what is reported can be handed out, seen by threads', 'plain broken', 5,
    ('claim_unreported', 'quad_with(quad, block, ENTRY_HUGE)', 'quad'))
bug('broken-isolated-returns', 'a broken frame comes back when isolation ends', 'checker broken_isolate', 30,
    ('keep_from_zone', '	make_bad(cpu->r, f);', '	make_bad(cpu->r, f);\n	if (bitmap_entry(&z->map, slot_bit(cpu->r, z, f) / BLOCK_FRAMES) & ENTRY_SHUT)\n		zone_free(z, slot_bit(cpu->r, z, f), 0);'))

# ---- isolation ----

bug('shut-block-refills', 'a free into an isolated block opens it', 'checker isolate isolate_own_cache', 30,
    ('raise_count', 'entry &= ENTRY_SHUT;', 'entry = 0;'))
bug('shut-block-passes', 'the gate lets frames of an isolated block into the cache', 'checker isolate_own_cache', 30,
    ('entry_gate_count', 'return entry & ENTRY_SHUT ? BLOCK_FRAMES : entry_count(entry);', 'return entry_count(entry);'))
bug('shut-not-forgotten', 'a CPU goes on with the block that was isolated', 'unit isolate', 20,
    ('ask_gates_again', 'set_current(&cpu->current, NO_ROW);', ';'),
    ('ask_gates_again', 'set_current(&cpu->run_current, NO_ROW);', ';'),
    ('ask_gates_again', 'gate_leave_shut(cpu, &cpu->block);', ';'))
bug('shut-counts-as-free', 'what is free in isolated memory passes for a reserve', 'unit watermarks', 20,
    ('zone_estimate_free', ' + ramka_load(&z->map.isolated, relaxed, stat)', ''))
bug('shut-claim-uncounted', 'what is claimed out of isolated memory counts as free there', 'unit watermarks', 20,
    ('promise_of', '		count_isolated(b, -(int64_t)got);', '		;'))
bug('shut-free-uncounted', 'what is freed into isolated memory counts as a reserve', 'checker isolate_own_cache', 30,
    ('raise_count', '		count_isolated(b, n);\n', ''))
bug('shut-huge-uncounted', 'the same of whole blocks', 'unit watermarks', 20,
    ('entries_from_to', 'if (unlikely(quad & QUAD_OF(keep)))', 'if (0)'))
bug('shut-hidden', 'what was freed meanwhile stays hidden when isolation ends', 'checker isolate_undo isolate', 30,
    ('bitmap_unshut', 'bitmap_fix_hints(b, block);', ';'))
bug('shut-huge-opens', 'a whole block that is freed is not isolated any more', 'unit isolate', 20,
    ('bitmap_free_blocks', 'ENTRY_HUGE, ENTRY_FULL, ENTRY_SHUT)', 'ENTRY_HUGE, ENTRY_FULL, 0)'))

# ---- free page reporting ----

bug('report-takes-nothing', 'a block can be handed out while its content is discarded', 'checker bitmap_report', 30,
    ('claim_unreported', 'quad_with(quad, block, ENTRY_HUGE)', 'quad'))
bug('report-relaxed', 'what is reported may still be written by its last owner', 'checker bitmap_report_last', 30,
    weaken('claim_unreported', 'huge.free', 'cas', 'acquire', 'relaxed'))
bug('report-mark-stays', 'a block that was taken since passes for reported', 'checker bitmap_report', 30,
    ('raise_count', '|= count == BLOCK_FRAMES ? ENTRY_FULL :',
     '|= count == BLOCK_FRAMES ? ENTRY_FULL | (hint << ENTRY_HINT_SHIFT & ENTRY_MARK) :'))
bug('report-opens', 'a block that is isolated while it is reported never comes back', 'unit reported', 20,
    ('bitmap_free_unreported', 'ENTRY_FULL, ENTRY_SHUT)', 'ENTRY_FULL, 0)'))

bug('report-broken', 'a frame is found broken in a block that is being reported, and handed out', 'checker report_broken', 30,
    ('set_bad', 'if (ref_tag(ref) != TAG_FREE || cpu_claim(cpu, f, 0, &used))',
     'if (ref_tag(ref) != TAG_FREE || (cpu_claim(cpu, f, 0, &used), slot_ref(f)))'))
bug('report-removed', 'a block is removed while it is reported', 'checker report_remove', 30,
    ('bitmap_hold', 'if (!(entry & ENTRY_SHUT) || entry_free(entry) != n)',
     'if (!(entry & ENTRY_SHUT) || (entry_free(entry) != n && entry & ENTRY_COUNT))'))

# ---- removal ----

bug('remove-takes-claimed', 'a block is removed while a frame of it is claimed', 'checker remove_claim', 30,
    ('bitmap_hold', 'entry_free(entry) != n', '(n == BLOCK_FRAMES && entry_free(entry) != n) || !entry_free(entry)'))
bug('remove-looks-not', 'a block is removed with what is free in it, whatever the rest is', 'checker remove', 30,
    ('hold_block', 'rc = count_leaving(r, p, &n, why);',
     'rc = 0 * count_leaving(r, p, &n, why);\n	n = entry_free(bitmap_entry(&p->z->map, p->block));'))
bug('remove-still-found', 'removed memory is found by its address', 'unit remove', 20,
    ('remove_block', 'sparse_add(&r->gone, first - r->first, first + n - r->first);', ';'))
bug('remove-still-solid', 'a lookup does not ask the map where memory was removed', 'unit remove', 20,
    ('instance_not_solid', 'ramka_store(&r->solid[part], 0, relaxed, map.solid);', ';'))
bug('remove-keeps-held', 'a refusal keeps the blocks that it held', 'unit remove', 20,
    ('hold_range', 'bitmap_hold_undo(&undo.z->map, undo.block);', ';'))
bug('remove-broken-returns', 'memory with a broken frame cannot come back', 'unit remove', 20,
    ('part_at', 'p.kind = is_broken(r, m, first) ? PART_BROKEN : PART_MEMORY;', 'p.kind = PART_MEMORY;'))
bug('remove-back-relaxed', 'memory that comes back is found before its slots are there', 'checker sparse_removed', 30,
    weaken('sparse_remove', 'map.late', 'store', 'release', 'relaxed'))

# ---- late memory ----

bug('late-entry-relaxed', 'added memory can be found before the map says so', 'checker late_memory_slots sparse_lookup', 30,
    weaken('sparse_add', 'map.late', 'store', 'release', 'relaxed', 1))
bug('late-adders-race', 'two may add memory at once', 'checker late_memory_twice', 30,
    ('changing_begin', 'return ramka_cas(&r->changing, &none, 1, acquire, map.changing);',
     'return ramka_cas(&r->changing, &none, 1, acquire, map.changing) || none <= 1;'))
bug('late-claim-keeps', 'an addition that fails keeps the frames that it had taken', 'unit init', 10,
    ('unclaim', 'ramka_store(&r->slots[i - r->first].ref, REF_SHARED(1), release, slot.publish);', ';'))
bug('late-pieces-forgotten', 'a piece that is added beside another one makes the map forget that one', 'unit sparse', 10,
    ('sparse_add', 'if (~mask && word_valid(s, level, word))', 'if (~mask && !level && word_valid(s, level + 1, word))'))
bug('hole-metadata-cleared', 'set-up writes the metadata of holes', 'unit late', 10,
    ('ramka_init_why', 'memset(at, 0, l.bitmaps);', 'memset(at, 0, l.end);'))
bug('tail-search-in-hole', 'a claim by address looks at slots of holes', 'unit late', 10,
    ('state_is_tail', 'if (instance_kind(r, head) == MAP_HOLE)', 'if (head < r->first)'))
bug('late-last-hole', 'the hole that the map ends with shares its late frames with the first one', 'unit late', 10,
    ('map_zones', 'i < r->nr_map; i++', 'i + 1 < r->nr_map; i++'))
bug('late-last-hole-model', 'the same, seen by a random sequence', 'model sequences', 20,
    ('map_zones', 'i < r->nr_map; i++', 'i + 1 < r->nr_map; i++'))
bug('late-word-by-word', 'whole blocks of late memory are freed word by word', 'model growth', 10,
    ('bitmap_fill', 'whole = first % BLOCK_FRAMES ? 0 : (end - first) / BLOCK_FRAMES, nr = 1;', 'whole = 0, nr = 1;'))
bug('late-keeps-tuning', 'batch, fold and high-water mark stay those of the boot memory', 'unit late', 10,
    ('add_memory', 'tune(r);', ';'))
bug('reserved-widens-span', 'reserved memory has slots wherever it is', 'unit map', 10,
    ('map_span', 'widen(&span, &cfg->regions[i], low, near);', 'widen(&span, &cfg->regions[i], 0, frame_of(ADDRESS_END));'))
bug('early-range-handed-out', 'what the early allocator handed out is free in the instance', 'model early', 20,
    ('map_build', 'if (!e->type)', 'if (e->type)'))
bug('early-type-handed-out', 'early frames of a type are free too', 'model early', 20,
    ('init_rest', 'if (!init_held(r, z, stop, first, held->type))', 'if (!init_usable(r, z, stop, first))'))
bug('early-gap-ignores-range', 'the early allocator sees a gap where a range reaches into it', 'model early', 20,
    ('find_in', 'from = above > low ? above : low;', 'from = low;'))
bug('early-cursor-sticks', 'what was given back above the last place is never found again', 'model early', 20,
    ('find_place', 'if (!find(e, w, ret_pa))', 'if ((free && e->cursor != UINT64_MAX) || !find(e, w, ret_pa))'))
bug('stats-gone-uncounted', 'a drained cache is empty before its frames are counted out', 'checker stats_snapshot_drain', 60,
    ('drain_cache', '	own_add(&cpu->moved_out, n);\n	set_count(cpu, 0);\n', '	set_count(cpu, 0);\n	own_add(&cpu->moved_out, n);\n'))
bug('stats-in-relaxed', 'frames are counted in before they are seen in the cache', 'checker stats_snapshot', 60,
    weaken('own_count_in', 'stat.held', 'store', 'release', 'relaxed'))
bug('stats-broken-uncounted', 'a frame that leaves since it is broken is not counted as given back', 'unit broken', 10,
    ('account_broken', 'own_add(&cpu->puts, 1);', ';'))
bug('stats-apart-uncounted', 'a broken frame that is taken apart is given back more often than it was handed out', 'unit broken', 10,
    ('broken_take_apart', 'account_split(cpu->r, 2);', ';'))
bug('stats-wrap', 'puts begin anew after 2^48', 'unit stats', 10,
    ('cpu_settle', 'ramka_store(&cpu->pushes, cpu_pushes(cpu), release, stat.held);', ';'))
bug('map-last-hole-lost', 'behind a last frame that is shared the map does not end', 'unit map', 10,
    ('map_build', 'emit(&b, frame_of(UINT64_MAX), MAP_HOLE, 0);', ';'))

# ---- lists ----

bug('list-id-not-cleared', 'a frame that left a list still says that it is in it', 'plain lists', 5,
    ('list_take', '	set_list(u, 0);\n', ''))
bug('list-back-stale', 'taking the last frame leaves the list\'s end', 'plain lists', 5,
    ('list_take', 'l->back = link->prev;', ';'))
bug('list-insert-one-way', 'an insert in the middle forgets the link back', 'plain lists', 5,
    ('insert', 'link_of(l, next)->prev = u;', ';'))

# ---- deferred reclaim ----

bug('unripe-asks-anew', 'each look at a bag that is not ripe gives it a new grace period', 'plain waits', 8,
    ('take_ripe', '		return UNRIPE;\n',
     '	{\n		ramka_store(&d->bags[slot].cookie, r->rcu.snapshot(r->rcu.ctx), relaxed, defer.bag);\n		return UNRIPE;\n	}\n'))

bug('defer-one-period-early', 'a bag waits for a grace period that had begun before', 'plain defer', 8,
    ('seal_open', 'seal(d, slot, c, r->rcu.snapshot(r->rcu.ctx));', 'seal(d, slot, c, r->rcu.snapshot(r->rcu.ctx) - 1);'))
bug('defer-no-period', 'bags are freed when the next is sealed', 'plain defer', 8,
    ('take_ripe', '	if (!r->rcu.elapsed(r->rcu.ctx, ramka_load(&d->bags[slot].cookie, relaxed, defer.bag)))\n		return UNRIPE;\n', ''))
bug('defer-no-period-tsan', 'the same, seen by ThreadSanitizer', 'tsan defer', 15,
    ('take_ripe', '	if (!r->rcu.elapsed(r->rcu.ctx, ramka_load(&d->bags[slot].cookie, relaxed, defer.bag)))\n		return UNRIPE;\n', ''))
bug('mark-in-two-steps', 'put_rcu marks and lowers the count in two steps', 'checker defer_mark defer_both', 20,
    ('put_rcu_asked', '(old | REF_MARK) - 1, acq_rel, slot.drop));',
     'old - 1, acq_rel, slot.drop));\n	if (ref_others(old))\n'
     '		ramka_or(&f->ref, REF_MARK, acq_rel, slot.drop);'))
bug('put-rcu-release', 'put_rcu does not acquire', 'checker defer_mark defer_both defer_write', 20,
    weaken('put_rcu_asked', 'slot.drop', 'cas', 'acq_rel', 'release'))
bug('put-rcu-acquire', 'put_rcu does not release', 'checker defer_mark defer_both defer_write', 20,
    weaken('put_rcu_asked', 'slot.drop', 'cas', 'acq_rel', 'acquire'))
bug('mark-ignored', 'a marked frame is freed at once by a plain last put', 'plain defer', 8,
    ('drop_reference', 'likely(old == REF_SHARED(1)', 'likely((old & ~REF_MARK) == REF_SHARED(1)'),
    ('end_shared', 'if (old & REF_MARK || info & INFO_RCU)', 'if (info & INFO_RCU)'))
bug('shared-push-relaxed', 'a frame is pushed to the shared stack before its state', 'checker defer_shared', 20,
    weaken('share', 'defer.shared', 'cas', 'release', 'relaxed'))
bug('shared-take-relaxed', 'the shared stack is taken without what it holds', 'checker defer_shared', 20,
    weaken('seal_pile', 'defer.shared', 'xchg', 'acquire', 'relaxed'))
bug('bag-release-relaxed', 'a bag is sealed before its chain is written', 'checker defer_two_reapers', 60,
    weaken('release', 'defer.bag', 'store', 'release', 'relaxed'))
bug('bag-look-relaxed', 'a bag is freed by the cookie that lay in its slot before', 'checker defer_slot_again', 60,
    weaken('take_ripe', 'defer.bag', 'load', 'acquire', 'relaxed'))
bug('bag-taken-twice', 'two reapers take one bag', 'checker defer_two_reapers', 60,
    ('take_ripe', 'if (!ramka_cas(&d->state[slot], &word, word - BAG_SEALED + BAG_BUSY, relaxed, defer.bag))',
     'ramka_store(&d->state[slot], word - BAG_SEALED + BAG_BUSY, relaxed, defer.bag);\n	if (!word)'))
bug('pile-waits', 'a CPU that fills bags leaves the pile alone', 'unit defer', 10,
    ('bag_full', '	seal_pile(cpu->r);\n', ''))
bug('bag-loses-rest', 'a bag that is freed in parts loses its rest', 'unit defer', 10,
    ('take_ripe', 'c->head ? BAG_SEALED : BAG_EMPTY', 'BAG_EMPTY'))
bug('rest-waits-anew', 'the rest of a bag waits for a second grace period', 'unit defer', 10,
    ('take_ripe', '	release(d, slot,', '	ramka_store(&d->bags[slot].cookie, r->rcu.snapshot(r->rcu.ctx), relaxed, defer.bag);\n	release(d, slot,'))
bug('offline-drops-cookie', 'bags of a CPU that goes off line wait for a second grace period', 'unit defer', 10,
    ('hand_over', 'seal(to, place, c, cookie);', 'seal(to, place, c, cookie + 1);'))
bug('wait-asks-anew', 'a request that waits asks for a grace period of its own', 'unit defer', 10,
    ('defer_more', 'if (t->waits++) {', 'if (++t->waits) {'))
bug('put-rcu-frees-all', 'one put_rcu frees all that is ripe', 'unit defer', 10,
    ('reap_own', 'TWO_BAGS, true', 'ALL_FRAMES, true'))
bug('drop-reaps', 'a put_rcu by on_drop frees bags, whose on_drop free more', 'unit defer', 10,
    ('defer_poll', '	if (ramka_load(&cpu->pending, relaxed, drop.pending))\n		return;\n', ''))
bug('full-read-outside', 'put_rcu looks at the open bag after it has left the section', 'checker defer_take_over', 30,
    ('open_push', '	nr = open_frames(d) - d->tails;\n	set_stop(r, d, nr);\n	section_leave(cpu);\n',
     '	section_leave(cpu);\n	nr = open_frames(d) - d->tails;\n	set_stop(r, d, nr);\n'))
bug('hit-counts-outside', 'put_rcu counts by what it read before it entered the section', 'checker defer_second_irq', 30,
    ('defer_hit', '	if (unlikely(!section_enter(cpu)))\n		return false;\n	in = ramka_load(&d->in, relaxed, stat);\n',
     '	in = ramka_load(&d->in, relaxed, stat);\n	if (unlikely(!section_enter(cpu)))\n		return false;\n'))
bug('stop-above-mark', 'put_rcu says only at the end of a bag that too much waits', 'unit defer', 10,
    ('set_stop', 'if (waiting + room > mark)', 'if (waiting > mark)'))
bug('hit-larger', 'a larger frame counts as a base frame when it is deferred', 'unit defer', 10,
    ('defer_hit', 'INFO_ORDER_MASK | ', ''))
bug('hit-reserved', 'put_rcu defers a frame that was reserved at boot', 'misuse states', 10,
    ('defer_hit', ' | INFO_RESERVED', ''),
    ('put_rcu_asked', 'INFO_RESERVED | ', ''))
bug('chain-keeps-broken', 'a frame that broke while it was deferred is handed out again', 'unit broken', 10,
    ('ripe_order', '~(uint64_t)INFO_RCU', '~(uint64_t)(INFO_RCU | INFO_BROKEN)'))
bug('chain-forgets-lowest', 'a bag that is freed hides how low the cache was', 'unit stats', 10,
    ('keep_chain', '	if (HOT_COUNT(hot) < HOT_LOWEST(hot))\n		hot = hot_at_lowest(hot, HOT_COUNT(hot));\n', ''))
bug('chain-overfills', 'a bag is freed into a cache that has no room for it', 'unit defer', 10,
    ('keep_chain', '(most < room ? most : room)', 'most'))
bug('short-lives-never-look', 'only a full bag looks for what others left, and short-lived threads fill none', 'unit defer', 10,
    ('open_push', 'nr == 1 && too_many_astray(cpu)', 'false'))
bug('own-ring-stuck', 'a CPU looks for ripe bags where it found the last one, and never behind it', 'unit defer', 10,
    ('reap', 'slot = (first + i) % RING_SIZE;', 'slot = aged ? first : (first + i) % RING_SIZE;'))
bug('last-put-relaxed', 'the last put_rcu does not see what others did to the frame', 'checker defer_mark', 30,
    weaken('defer_last', 'slot.drop', 'cas', 'acquire', 'relaxed'))
bug('hit-relaxed', 'the same where a bag is open', 'checker defer_second_mark', 30,
    weaken('defer_hit', 'slot.drop', 'cas', 'acquire', 'relaxed'))
bug('qsbr-over-relaxed', 'a poll believes another one without what that saw', 'checker qsbr_over', 20,
    weaken('qsbr_elapsed', 'qsbr.over', 'load', 'acquire', 'relaxed'))
bug('qsbr-no-announce', 'a CPU that waits on line waits for itself', 'unit defer', 10,
    ('ramka_qsbr_init', '		.quiescent = qsbr_announce,\n', '		.quiescent = NULL,\n'))
bug('qsbr-nested-announces', 'a CPU that comes on line inside a section announces that it holds nothing', 'misuse handles', 10,
    ('ramka_qsbr_online', '	else\n		qsbr_online(q, cpu);', '	qsbr_online(q, cpu);'))
bug('qsbr-quiescent-joins', 'an announcement of a CPU that is offline makes it a reader', 'misuse handles', 10,
    ('ramka_qsbr_quiescent', 'if (is_online(q, cpu))', 'if (is_online(q, cpu) || cpu)'))
bug('reclaim-snapshot-first', 'a reclaim waits for a grace period that began before it sealed the bags', 'unit defer', 10,
    ('wait_for_all', '	*ret_sealed = seal_them(cpu);\n	cookie = r->rcu.snapshot(r->rcu.ctx);\n',
     '	cookie = r->rcu.snapshot(r->rcu.ctx);\n	*ret_sealed = seal_them(cpu);\n'))
bug('no-cap', 'put_rcu never says that too much waits', 'unit defer', 10,
    ('open_push', 'return likely(defer_waiting(d) <= figure(&r->high_water))', 'return likely(defer_waiting(d) != 1)'))
bug('qsbr-quiesce-relaxed', 'a quiescent CPU does not say what it read', 'checker qsbr', 20,
    weaken('ramka_qsbr_quiescent', 'qsbr.quiesce', 'store', 'release', 'relaxed'))
bug('qsbr-online-load', 'a CPU comes on line with a plain load', 'checker qsbr_online', 20,
    ('qsbr_online', 'now = ramka_add(&q->now, 0, acq_rel,', 'now = ramka_load(&q->now, acquire,'))
bug('adapt-finished-relaxed', 'a poller does not see what the readers did', 'checker adapt adapt_again adapt_both', 20,
    weaken('over', 'adapt.finished', 'store', 'release', 'relaxed'))
bug('adapt-joins-running', 'who asks while a grace period runs gets that one', 'checker adapt adapt_again adapt_both', 20,
    ('snapshot beside number_of', 'return number_of(word) + 1;', 'return number_of(word) + !(word & IN_FLIGHT);'))
bug('shared-never-reaped', 'a poll leaves the pile alone', 'unit defer', 10,
    ('seal_all', 'bool all = seal_pile(r);', 'bool all = true;'))
bug('offline-gives-up', 'a CPU that goes off line while it is drained keeps its frames', 'checker cpu_offline_empties', 20,
    ('cpu_drain_own', 'i < GIVEN_BACK_TRIES && holds_frames(cpu)', 'i < 1 && holds_frames(cpu)'))
bug('low-memory-silent', 'the low-memory callback is never called', 'unit cpu', 10,
    ('account_low_memory', 'if (all < low || all > high)', 'if (all > high)'))
bug('table-child-leaked', 'the last child of a page table is not put', 'plain tables', 5,
    ('drop_node', 'for (unsigned i = 0; i < m->config->entries;', 'for (unsigned i = 0; i + 1 < m->config->entries;'))
