/* SPDX-License-Identifier: MIT
 *
 * A step by reading the code: from where the frame stands, follow the instructions to the
 * function's return, and see what they do to the stack on the way.
 *
 * For C libraries that describe nothing (musl as distributions build it, without frame pointers)
 * this is the only exact way. At a branch the straight way is tried first, the other one if it
 * leads nowhere. The return address must be one. Work is bounded.
 */
#include "stack/code.h"
#include "stack/unwind_steps.h"

#include <string.h>

#define INSTRUCTIONS_MAX 4096
#define BRANCHES_MAX	 32
#define SEEN_SLOTS	 8192 /* a power of two, above INSTRUCTIONS_MAX */

struct path {
	uint64_t ip;
	uint64_t regs[UNWIND_REGISTERS];
};

struct follower {
	struct unwinder *u;
	struct path later[BRANCHES_MAX]; /* other ways of the branches passed */
	size_t n;
	unsigned instructions;
	uint64_t seen[SEEN_SLOTS];
};

bool unwind_may_return_to(const struct unwinder *u, uint64_t ip)
{
	uint8_t code[8];

	if (modules_read(u->mods, ip - sizeof(code), code, sizeof(code)) == sizeof(code) &&
	    code_ends_in_call(code, sizeof(code)))
		return true;
	return unwind_at_trampoline(u, ip);
}

/* True if `ip` was passed before. */
static bool pass(struct follower *f, uint64_t ip)
{
	size_t i = (ip * 0x9e3779b97f4a7c15ULL) >> 51;

	while (f->seen[i] && f->seen[i] != ip)
		i = (i + 1) % SEEN_SLOTS;
	if (f->seen[i])
		return true;
	f->seen[i] = ip;
	return false;
}

static bool load(const struct follower *f, uint64_t address, uint64_t *out)
{
	return unwind_read(f->u, address, out, sizeof(*out));
}

/* Do to the path's registers what the instruction does. False where the path ends. */
static bool apply(struct follower *f, struct path *p, const struct code_instruction *i)
{
	uint64_t *sp = &p->regs[UNWIND_RSP], frame;

	p->ip += i->bytes;
	switch (i->effect) {
	case CODE_PLAIN:
		return true;
	case CODE_PUSH:
		*sp -= 8;
		return true;
	case CODE_POP:
		if (i->reg != UNWIND_RSP && !load(f, *sp, &p->regs[i->reg]))
			return false;
		*sp += 8;
		return true;
	case CODE_ADJUST:
		*sp += (uint64_t)i->value;
		return true;
	case CODE_SET_FROM:
		*sp = p->regs[i->reg] + (uint64_t)i->value;
		return true;
	case CODE_LEAVE:
		frame = p->regs[UNWIND_RBP];
		*sp = frame + 8;
		return load(f, frame, &p->regs[UNWIND_RBP]);
	case CODE_LOAD:
		return load(f, *sp + (uint64_t)i->value, &p->regs[i->reg]);
	case CODE_BRANCH:
		if (f->n < BRANCHES_MAX) {
			f->later[f->n] = *p;
			f->later[f->n++].ip += (uint64_t)i->value;
		}
		return true;
	case CODE_JUMP:
		p->ip += (uint64_t)i->value;
		return true;
	default:
		return false;
	}
}

/* Is a call the last thing before the padding between functions? Then it does not come back. */
static bool is_padding(const uint8_t *p, size_t n)
{
	return n && (p[0] == 0x90 || p[0] == 0xcc || (n > 1 && p[0] == 0x0f && p[1] == 0x1f) ||
		     (n > 2 && p[0] == 0x66 && (p[1] == 0x90 || p[1] == 0x2e || p[1] == 0x0f)));
}

/* Follow one path to its end; true if that is a return to where a return may lead. */
static bool follow(struct follower *f, struct path *p)
{
	struct code_instruction i;
	uint8_t code[2 * CODE_BYTES_MAX];
	uint64_t to;
	size_t n;

	while (f->instructions++ < INSTRUCTIONS_MAX && !pass(f, p->ip)) {
		n = modules_read(f->u->mods, p->ip, code, sizeof(code));
		if (!code_decode(code, n, &i))
			return false;
		if (i.call && is_padding(code + i.bytes, n - i.bytes))
			return false;
		if (i.effect == CODE_RETURN || i.effect == CODE_FAR_JUMP) {
			if (!load(f, p->regs[UNWIND_RSP], &to) || !unwind_may_return_to(f->u, to))
				return false;
			p->regs[UNWIND_RIP] = to;
			p->regs[UNWIND_RSP] += 8;
			return true;
		}
		if (!apply(f, p, &i))
			return false;
	}
	return false;
}

enum unwind_step unwind_step_follow(struct unwinder *u, struct unwind_regs *r)
{
	struct follower f;
	struct path p;

	f.u = u;
	f.n = 0;
	f.instructions = 0;
	memset(f.seen, 0, sizeof(f.seen));
	p.ip = r->v[UNWIND_RIP];
	memcpy(p.regs, r->v, sizeof(p.regs));
	while (!follow(&f, &p)) {
		if (!f.n)
			return UNWIND_UNKNOWN;
		p = f.later[--f.n];
	}
	memcpy(r->v, p.regs, sizeof(p.regs));
	return UNWIND_OK;
}
