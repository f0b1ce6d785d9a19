/* SPDX-License-Identifier: MIT
 *
 * The stack of the thread that creates another, as a number: each different stack is in the table
 * once.
 *
 * The walk follows call frame information only: frame pointers look plausible in programs that have
 * none, and skip frames. What was found for an address of a module that stays is kept, so that a
 * walk costs a few loads a frame. A cached rule is two words, of which the first also depends on the
 * second: one that is half another's matches no address.
 */
#include "stacks.h"

#include "cfi.h"
#include "shim.h"
#include "sys.h"
#include "table.h"
#include "table_private.h"

#define RULES	    1024u
#define SLOTS	    65536u
#define SLOTS_FULL  49152u
#define FRAME_BYTES (16u << 20) /* no frame is larger */
#define PAGE	    4096u

static struct {
	uint64_t key, rule;
} rules[RULES];

static struct {
	uint32_t *slots; /* ids; 0: free */
	uint32_t count;
	uint64_t used; /* segment << 32 | bytes used in it */
} stacks;

/* -- one frame ----------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	return x;
}

static bool find_rule(uint64_t pc, struct cfi_rule *rule)
{
	uint32_t slot = (uint32_t)(mix(pc) % RULES);
	uint64_t word = __atomic_load_n(&rules[slot].rule, __ATOMIC_RELAXED);
	bool stays = false;

	if ((__atomic_load_n(&rules[slot].key, __ATOMIC_RELAXED) ^ mix(word)) == pc) {
		__builtin_memcpy(rule, &word, sizeof(word));
		return true;
	}
	if (!cfi_find(pc, rule, &stays))
		return false;
	if (stays) {
		__builtin_memcpy(&word, rule, sizeof(word));
		__atomic_store_n(&rules[slot].rule, word, __ATOMIC_RELAXED);
		__atomic_store_n(&rules[slot].key, pc ^ mix(word), __ATOMIC_RELAXED);
	}
	return true;
}

struct frame {
	uint64_t pc; /* of the call */
	uint64_t sp, bp;
	uint64_t end; /* the stack can be read from sp up to here */
	bool bp_known;
};

/* A word of the stack, not below the frame; false: it may not be there. Call frame information is
 * as right as whoever wrote it, and the stack may be one of which nothing is known. */
static bool read_word(const struct frame *f, uint64_t address, uint64_t *out)
{
	if (address < f->sp || address >= f->end || f->end - address < sizeof(*out) || address % 8)
		return false;
	*out = *(const volatile uint64_t *)(uintptr_t)address;
	return true;
}

/* A thread's own stack reaches to its descriptor, main's to where the kernel began it. Of another
 * one (a coroutine's, a signal stack) no more is certain than the page that the frame is in. */
static uint64_t end_of_stack(uint64_t sp)
{
	if (sp > self.stack_begin && sp < self.stack_end)
		return self.stack_end;
	return (sp | (PAGE - 1)) + 1;
}

static bool frame_address(const struct frame *f, const struct cfi_rule *r, uint64_t *cfa)
{
	uint64_t offset = (uint64_t)(int64_t)r->cfa_offset;

	if (r->cfa == CFI_CFA_SP) {
		*cfa = f->sp + offset;
	} else {
		/* rbp points into the frame, or what is thought of it is wrong. */
		if (!f->bp_known || f->bp < f->sp || f->bp - f->sp > FRAME_BYTES || f->bp % 8)
			return false;
		if (r->cfa == CFI_CFA_BP)
			*cfa = f->bp + offset;
		else if (!read_word(f, f->bp + offset, cfa))
			return false;
	}
	return *cfa > f->sp && *cfa - f->sp <= FRAME_BYTES && *cfa % 8 == 0;
}

/* To the caller's frame. False: the stack ends here; *complete says whether it should. */
static bool step(struct frame *f, bool *complete)
{
	struct cfi_rule r;
	uint64_t cfa, pc, saved;

	if (!find_rule(f->pc, &r))
		return false;
	if (r.ra == CFI_RA_NONE) {
		*complete = true;
		return false;
	}
	if (!frame_address(f, &r, &cfa))
		return false;
	saved = (uint64_t)((int64_t)r.bp_offset * 8);
	if (!read_word(f, cfa - 8, &pc))
		return false;
	if (r.bp == CFI_BP_SAVED)
		f->bp_known = read_word(f, cfa + saved, &f->bp);
	else if (r.bp == CFI_BP_AT_BP)
		f->bp_known = f->bp_known && read_word(f, f->bp + saved, &f->bp);
	else if (r.bp == CFI_BP_UNKNOWN)
		f->bp_known = false;
	f->pc = pc - 1;
	f->sp = cfa;
	*complete = f->pc == UINT64_MAX;
	return !*complete;
}

/* -- all of it ----------------------------------------------------------------------------------- */

__attribute__((noinline)) uint32_t stacks_capture(uintptr_t caller)
{
	uint64_t pcs[WIRE_STACK_FRAMES];
	struct frame f = { .bp_known = true };
	uint16_t n = 0;
	bool complete = false;

	__asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2"
			 : "=&r"(f.pc), "=&r"(f.sp), "=&r"(f.bp));
	f.end = end_of_stack(f.sp);
	do
		if (f.pc < shim.code_begin || f.pc >= shim.code_end)
			pcs[n++] = f.pc;
	while (n < WIRE_STACK_FRAMES && step(&f, &complete));
	if (n == 0)
		pcs[n++] = caller - 1;
	return table_intern(pcs, n, complete ? WIRE_STACK_COMPLETE : 0);
}

/* -- each once ----------------------------------------------------------------------------------- */

/* In a forked child: who was at it in the parent may go on here, with the slots where they were. */
void stacks_reset(void)
{
	if (stacks.slots)
		sys_map_over(stacks.slots, SLOTS * sizeof(*stacks.slots));
	stacks.count = 0;
	stacks.used = 0;
}

void stacks_prepare(void)
{
	if (!stacks.slots)
		stacks.slots = sys_map(-1, 0, SLOTS * sizeof(*stacks.slots), NULL);
}

bool stacks_scarce(void)
{
	uint64_t used = __atomic_load_n(&stacks.used, __ATOMIC_RELAXED);
	uint32_t count = __atomic_load_n(&table_stacks.count, __ATOMIC_ACQUIRE);

	return count && used >> 32 == count - 1 &&
	       (uint32_t)used > table_stacks.list[count - 1].bytes / 2;
}

static struct wire_stack *stack_of(uint32_t id)
{
	uint64_t offset = (uint64_t)id * 8;
	uint32_t i = 0;

	while (offset - table_stacks.list[i].offset >= table_stacks.list[i].bytes)
		i++;
	return (struct wire_stack *)(void *)(table_stacks.list[i].at +
					     (offset - table_stacks.list[i].offset));
}

/* Room in the table's last segment; 0: there is none. Id 0 is the file's header. */
static uint32_t reserve(uint32_t bytes)
{
	uint64_t old = __atomic_load_n(&stacks.used, __ATOMIC_RELAXED);
	uint64_t new;
	uint32_t segment;

	do {
		segment = (uint32_t)(old >> 32);
		if (segment >= __atomic_load_n(&table_stacks.count, __ATOMIC_ACQUIRE))
			return 0;
		if ((uint32_t)old + bytes <= table_stacks.list[segment].bytes)
			new = old + bytes;
		else if (segment + 1 < __atomic_load_n(&table_stacks.count, __ATOMIC_ACQUIRE))
			new = (uint64_t)(++segment) << 32 | bytes;
		else
			return 0;
	} while (!__atomic_compare_exchange_n(&stacks.used, &old, new, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return (uint32_t)((table_stacks.list[segment].offset + (uint32_t) new - bytes) / 8);
}

static uint32_t add(uint32_t hash, const uint64_t *pcs, uint16_t count, uint16_t flags)
{
	uint32_t id = reserve((uint32_t)sizeof(struct wire_stack) + 8u * count);
	struct wire_stack *s;
	uint16_t i;

	if (!id)
		return 0;
	s = stack_of(id);
	s->hash = hash;
	s->count = count;
	s->flags = flags;
	for (i = 0; i < count; i++)
		s->pcs[i] = pcs[i];
	return id;
}

static bool is_same(uint32_t id, uint32_t hash, const uint64_t *pcs, uint16_t count)
{
	const struct wire_stack *s = stack_of(id);
	uint16_t i;

	if (s->hash != hash || s->count != count)
		return false;
	for (i = 0; i < count; i++)
		if (s->pcs[i] != pcs[i])
			return false;
	return true;
}

static uint32_t lose(void)
{
	__atomic_fetch_add(&shim.table->lost_stacks, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Two threads may write the same stack at once: one of them finds the slot taken, and its copy is
 * room lost. */
uint32_t table_intern(const uint64_t *pcs, uint16_t count, uint16_t flags)
{
	uint64_t all = flags;
	uint32_t hash, i, id;
	uint32_t mine = 0;
	uint16_t k;

	for (k = 0; k < count; k++)
		all = mix(all ^ pcs[k]) * 31;
	hash = (uint32_t)(all ^ all >> 32);
	if (!stacks.slots)
		return lose();
	for (i = hash % SLOTS;; i = (i + 1) % SLOTS) {
		id = __atomic_load_n(&stacks.slots[i], __ATOMIC_ACQUIRE);
		if (!id) {
			if (!mine && stacks.count < SLOTS_FULL)
				mine = add(hash, pcs, count, flags);
			if (!mine)
				return lose();
			if (__atomic_compare_exchange_n(&stacks.slots[i], &id, mine, false,
							__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
				__atomic_fetch_add(&stacks.count, 1, __ATOMIC_RELAXED);
				return mine;
			}
		}
		if (is_same(id, hash, pcs, count))
			return id;
	}
}
