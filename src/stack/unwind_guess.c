/* SPDX-License-Identifier: MIT
 *
 * Steps where neither tables nor the code lead further: just-in-time compiled code, functions
 * that do not return.
 *
 * A guess is taken only if the return address lies behind a call instruction of a module, or is
 * where signal handlers return to. How
 * outermost frames look is known: the program's entry point, and in musl the exit call after a
 * thread's function returned.
 */
#include "stack/code.h"
#include "stack/unwind_steps.h"

#include <string.h>

#define FRAME_BYTES_MAX (1u << 20)
#define ENTRY_BYTES_MAX 64 /* _start is shorter than that */
#define OUTERMOST_WORDS 128

static bool at_entry(const struct module *m, uint64_t ip)
{
	uint64_t entry;

	if (!m || !m->file)
		return false;
	entry = elf_file_header(m->file)->e_entry + m->bias;
	return ip >= entry && ip - entry <= ENTRY_BYTES_MAX;
}

bool unwind_is_outermost(const struct unwinder *u, uint64_t ip)
{
	uint8_t code[CODE_BYTES_MAX];
	size_t n = modules_read(u->mods, ip, code, sizeof(code));

	return at_entry(modules_find(u->mods, ip), ip) || code_is_thread_exit(code, n);
}

/* A function that never returns (it calls exit at its end) and keeps no frame pointer leaves no
 * way to its caller; when it was called by an outermost frame that return address lies close. */
static enum unwind_step step_to_outermost(struct unwinder *u, struct unwind_regs *r)
{
	uint64_t words[OUTERMOST_WORDS], sp = r->v[UNWIND_RSP];
	size_t n = sp % 8 ? 0 : u->read(u->read_ctx, sp, words, sizeof(words)) / sizeof(words[0]);

	for (size_t i = 0; i < n; i++) {
		if (!unwind_is_outermost(u, words[i]) || !unwind_may_return_to(u, words[i]))
			continue;
		memset(r->v, 0, sizeof(r->v));
		r->v[UNWIND_RIP] = words[i];
		r->v[UNWIND_RSP] = sp + 8 * (i + 1);
		return UNWIND_OK;
	}
	return UNWIND_FAILED;
}

static enum unwind_step step_frame_pointer(struct unwinder *u, struct unwind_regs *r)
{
	uint64_t rbp = r->v[UNWIND_RBP], rsp = r->v[UNWIND_RSP], frame[2];

	if (rbp % 8 || rbp < rsp || rbp - rsp > FRAME_BYTES_MAX ||
	    !unwind_read(u, rbp, frame, sizeof(frame)) || !unwind_may_return_to(u, frame[1]))
		return UNWIND_FAILED;
	r->v[UNWIND_RBP] = frame[0];
	r->v[UNWIND_RSP] = rbp + 16;
	r->v[UNWIND_RIP] = frame[1];
	return UNWIND_OK;
}

enum unwind_step unwind_step_guess(struct unwinder *u, struct unwind_regs *r, bool *sure)
{
	enum unwind_step s;

	/* A thread that was left asleep shows no frame pointer: then frames are left out. */
	*sure &= r->v[UNWIND_RBP] != 0;
	s = step_frame_pointer(u, r);
	return s == UNWIND_OK ? s : step_to_outermost(u, r);
}
