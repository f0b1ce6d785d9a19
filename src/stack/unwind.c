/* SPDX-License-Identifier: MIT
 *
 * The walk up a stack. Each frame is left by the first way that knows how: .eh_frame, then
 * .debug_frame, then the code itself, then what is usual.
 *
 * The walk ends in any case: at most UNWIND_FRAMES_MAX frames, and the stack pointer must rise
 * except where a signal may have switched stacks.
 */
#include "stack/unwind.h"
#include "stack/code.h"
#include "stack/unwind_steps.h"

#include <stdlib.h>
#include <string.h>

int unwinder_create(const struct modules *mods, unwind_read_fn *read, void *read_ctx,
		    struct unwinder **out, struct err *e)
{
	struct unwinder *u = calloc(1, sizeof(*u));

	if (u)
		u->tables = calloc(modules_count(mods) + 1, sizeof(*u->tables));
	if (!u || !u->tables) {
		free(u);
		return err_set(e, ERR_NOMEM, "cannot unwind stacks");
	}
	u->mods = mods;
	u->read = read;
	u->read_ctx = read_ctx;
	*out = u;
	return 0;
}

void unwinder_free(struct unwinder *u)
{
	if (!u)
		return;
	unwind_cfi_free(u->cfi);
	unwind_dwfl_free(u->dwfl);
	for (size_t i = 0; i < modules_count(u->mods); i++)
		cfi_free(u->tables[i]);
	free(u->tables);
	free(u);
}

/* Does the module's file say for sure what the process has at `vaddr`? */
static bool is_constant(const struct module *m, uint64_t vaddr)
{
	size_t n;
	const Elf64_Phdr *p;

	if (!m->file)
		return false;
	p = elf_file_segments(m->file, &n);
	for (size_t i = 0; i < n; i++)
		if (p[i].p_type == PT_LOAD && vaddr >= p[i].p_vaddr &&
		    vaddr - p[i].p_vaddr < p[i].p_filesz)
			return !(p[i].p_flags & PF_W);
	return false;
}

bool unwind_read(const struct unwinder *u, uint64_t address, void *buf, size_t bytes)
{
	const struct module *m = modules_find(u->mods, address);

	if (!m)
		return u->read(u->read_ctx, address, buf, bytes) == bytes;
	if (is_constant(m, address - m->bias))
		return modules_read(u->mods, address, buf, bytes) == bytes;
	return u->read(u->read_ctx, address, buf, bytes) == bytes ||
	       modules_read(u->mods, address, buf, bytes) == bytes;
}

bool unwind_at_trampoline(const struct unwinder *u, uint64_t ip)
{
	uint8_t code[CODE_SIGNAL_BYTES];

	return unwind_read(u, ip, code, sizeof(code)) && code_is_signal_return(code, sizeof(code));
}

/* No program has code below its first pages or above its address space. */
static bool may_be_code(uint64_t ip)
{
	return ip >= 0x10000 && ip < UINT64_C(0x7ffffffff000);
}

/* *sure is cleared where the way was guessed from code that is no module's, or leaves frames out. */
static enum unwind_step step(struct unwinder *u, struct unwind_regs *r, bool trampoline, bool *sure)
{
	uint64_t ip = r->v[UNWIND_RIP];
	enum unwind_step s;

	if (!may_be_code(ip))
		return UNWIND_FAILED;
	if (trampoline)
		return unwind_step_signal(u, r);
	s = unwind_step_cfi(u, r);
	if (s == UNWIND_OK || s == UNWIND_END)
		return s;
	if (unwind_is_outermost(u, ip))
		return UNWIND_END;
	if (s == UNWIND_UNKNOWN)
		s = unwind_step_dwfl(u, r);
	if (s != UNWIND_OK)
		s = unwind_step_follow(u, r);
	if (s != UNWIND_OK) {
		s = unwind_step_guess(u, r, sure);
		*sure &= modules_find(u->mods, ip) != NULL;
	}
	return s;
}

/* rbx, rbp, rsp, r12 to r15 and the instruction pointer. */
#define KEPT_REGISTERS (1u << 3 | 1u << 6 | 1u << 7 | 0xfu << 12 | 1u << 16)

static void keep_registers(const struct unwind_regs *r, struct unwind_registers *out)
{
	_Static_assert(UNWIND_REGISTERS_KEPT == UNWIND_REGISTERS, "all that is unwound");
	memcpy(out->v, r->v, sizeof(out->v));
	out->known = r->exact ? (1u << UNWIND_REGISTERS) - 1 : KEPT_REGISTERS;
}

void unwinder_walk(struct unwinder *u, const struct arch_regs *regs, struct unwind_frame *frames,
		   size_t max, size_t *n, bool *complete)
{
	unwinder_walk_registers(u, regs, frames, NULL, max, n, complete);
}

void unwinder_walk_registers(struct unwinder *u, const struct arch_regs *regs,
			     struct unwind_frame *frames, struct unwind_registers *registers,
			     size_t max, size_t *n, bool *complete)
{
	struct unwind_regs r;
	enum unwind_step s;
	bool trampoline, sure = true;
	uint64_t sp;

	unwind_regs_from_arch(&r, regs);
	*n = 0;
	*complete = false;
	if (max > UNWIND_FRAMES_MAX)
		max = UNWIND_FRAMES_MAX;
	while (*n < max) {
		trampoline = unwind_at_trampoline(u, r.v[UNWIND_RIP]);
		r.exact |= trampoline;
		sp = r.v[UNWIND_RSP];
		if (registers)
			keep_registers(&r, &registers[*n]);
		frames[(*n)++] = (struct unwind_frame){ r.v[UNWIND_RIP], sp, r.exact };
		s = step(u, &r, trampoline, &sure);
		if (s == UNWIND_END || (s == UNWIND_OK && !r.v[UNWIND_RIP]))
			*complete = sure;
		if (s != UNWIND_OK || !r.v[UNWIND_RIP])
			return;
		r.exact = trampoline;
		if (!trampoline && r.v[UNWIND_RSP] <= sp)
			return;
	}
}
