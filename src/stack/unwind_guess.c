/* SPDX-License-Identifier: MIT
 *
 * Steps where no table describes the code: hand-written assembly of C libraries, just-in-time
 * compiled code, programs stripped of everything.
 *
 * A guess is taken only if the return address lies behind a call instruction of a module. How
 * outermost frames look is known: the program's entry point, and in musl the exit call after a
 * thread's function returned.
 */
#include "stack/unwind_steps.h"

#include <string.h>

#define FRAME_BYTES_MAX (1u << 20)
#define ENTRY_BYTES_MAX 64 /* _start is shorter than that */

/* clone() of musl, after the thread's function: mov %eax,%edi; xor %eax,%eax; mov $60,%al;
 * syscall. */
static bool at_thread_exit(const struct unwinder *u, uint64_t ip)
{
	static const unsigned char want[] = { 0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05 };
	unsigned char code[sizeof(want)];

	return modules_read(u->mods, ip, code, sizeof(code)) == sizeof(code) &&
	       !memcmp(code, want, sizeof(want));
}

static bool at_entry(const struct module *m, uint64_t ip)
{
	uint64_t entry;

	if (!m || !m->file)
		return false;
	entry = elf_file_header(m->file)->e_entry + m->bias;
	return ip >= entry && ip - entry <= ENTRY_BYTES_MAX;
}

/* Do the bytes before `ip` end in a call? e8 rel32, or ff /2 in its forms. */
static bool follows_call(const struct unwinder *u, uint64_t ip)
{
	unsigned char c[7];

	if (modules_read(u->mods, ip - sizeof(c), c, sizeof(c)) != sizeof(c))
		return false;
	if (c[2] == 0xe8)
		return true;
	for (size_t length = 2; length <= 7; length++) {
		const unsigned char *p = c + sizeof(c) - length;

		if (p[0] == 0xff && (p[1] & 0x38) == 0x10)
			return true;
	}
	return false;
}

static enum unwind_step step_frame_pointer(struct unwinder *u, struct unwind_regs *r)
{
	uint64_t rbp = r->v[UNWIND_RBP], rsp = r->v[UNWIND_RSP], frame[2];

	if (rbp % 8 || rbp < rsp || rbp - rsp > FRAME_BYTES_MAX ||
	    !unwind_read(u, rbp, frame, sizeof(frame)) || !follows_call(u, frame[1]))
		return UNWIND_FAILED;
	r->v[UNWIND_RBP] = frame[0];
	r->v[UNWIND_RSP] = rbp + 16;
	r->v[UNWIND_RIP] = frame[1];
	return UNWIND_OK;
}

enum unwind_step unwind_step_guess(struct unwinder *u, struct unwind_regs *r)
{
	uint64_t ip = r->v[UNWIND_RIP];

	if (at_entry(modules_find(u->mods, ip), ip) || at_thread_exit(u, ip))
		return UNWIND_END;
	return step_frame_pointer(u, r);
}
