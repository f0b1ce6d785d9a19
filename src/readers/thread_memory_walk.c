/* SPDX-License-Identifier: MIT
 *
 * What a thread's frames tell of its memory.
 *
 * Below the stack pointer a stack is out of use; but the stack pointer may be in another stack that
 * lies within the first: a coroutine's, or that of a signal handler, made of an array of some frame.
 * Then frames that are in use lie below. So the memory below is taken for unused only if the frames
 * lead, each further out than the one before, all the way to where the thread began: to the program's
 * entry point, or into the C library behind the call of the start routine. That call is known by its
 * instruction, which holds the offset of the start routine in the descriptor.
 */
#include "readers/thread_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "target/elf_file.h"

/* The longest form of the call: call *%fs:disp32. */
#define CALL_BYTES 8

/* _start of a program, or of the loader, with what follows there (_dl_start_user, which runs
 * constructors). */
#define ENTRY_BYTES 256

struct walk {
	struct unwind_frame v[UNWIND_FRAMES_MAX];
	size_t n;
	bool complete;
};

/* Does an indirect call by a field at `offset` end at `code` + CALL_BYTES? */
static bool is_call_by_field(const uint8_t *code, uint64_t offset)
{
	uint32_t displacement;

	memcpy(&displacement, code + 4, sizeof(displacement));
	if (displacement != offset)
		return false;
	/* call *disp32(%reg); with a SIB byte for rsp and r12; call *%fs:disp32 */
	return (code[2] == 0xff && (code[3] & 0xf8) == 0x90 && code[3] != 0x94) ||
	       (code[1] == 0xff && code[2] == 0x94 && code[3] == 0x24) ||
	       (code[0] == 0x64 && code[1] == 0xff && code[2] == 0x14 && code[3] == 0x25);
}

/* Is `f` where the C library waits for a thread's start routine to return? */
static bool has_called_start(const struct thread_memory_work *w, const struct unwind_frame *f)
{
	const struct modules *mods = w->in->modules;
	const struct module *m = modules_find(mods, f->ip), *libc, *threads;
	uint8_t code[CALL_BYTES];

	libc_get_modules(w->in->libc, &libc, &threads);
	return !f->exact && m && (m == libc || m == threads) &&
	       modules_read(mods, f->ip - CALL_BYTES, code, sizeof(code)) == sizeof(code) &&
	       is_call_by_field(code, w->layout.start_routine);
}

/* Is `f` where the kernel let the program begin? */
static bool is_entry(const struct thread_memory_work *w, const struct unwind_frame *f)
{
	const struct module *m = modules_find(w->in->modules, f->ip);
	uint64_t entry;

	if (!m || !m->file || (!m->main_program && m != w->layout.loader))
		return false;
	entry = m->bias + elf_file_header(m->file)->e_entry;
	return f->ip >= entry && f->ip - entry < ENTRY_BYTES;
}

/* The frame in which the start routine was called, counted from the innermost; walk->n: none. */
static size_t find_start(const struct thread_memory_work *w, const struct walk *walk)
{
	size_t i = walk->n;

	while (i > 0)
		if (has_called_start(w, &walk->v[--i]))
			return i;
	return walk->n;
}

/* Are frames from the first to `last` within the stack, each further out than the one before? */
static bool is_ascending(const struct walk *walk, size_t last, const struct extent *stack)
{
	for (size_t i = 0; i <= last; i++)
		if (walk->v[i].sp < stack->start || walk->v[i].sp > stack->end ||
		    (i && walk->v[i].sp <= walk->v[i - 1].sp))
			return false;
	return true;
}

/* Do the frames prove that the memory below sp is out of use? At most one frame (clone) lies outside
 * of that in which the start routine is called. */
static bool is_whole(const struct thread_memory_work *w, const struct walk *walk, size_t start,
		     const struct thread_memory *t)
{
	size_t last = walk->n - 1;

	if (!walk->complete || !is_ascending(walk, last, &t->stack))
		return false;
	return start < walk->n ? start + 2 >= walk->n : is_entry(w, &walk->v[last]);
}

static int set_frames(const struct walk *walk, struct thread_memory *t)
{
	t->frames = calloc(walk->n, sizeof(*t->frames));
	if (!t->frames)
		return ERR_NOMEM;
	for (size_t i = 1; i < walk->n; i++)
		t->frames[t->frame_count++] = walk->v[i].sp;
	return 0;
}

int thread_memory_walk(const struct thread_memory_work *w, const struct stop_thread *thread,
		       bool with_frames, struct thread_memory *t)
{
	uint64_t sp = arch_sp(&thread->regs);
	struct walk walk;
	size_t start;

	unwinder_walk(w->in->unwinder, &thread->regs, walk.v, UNWIND_FRAMES_MAX, &walk.n,
		      &walk.complete);
	start = find_start(w, &walk);
	if (start < walk.n)
		t->begun = true;
	if (!t->stack.end || sp < t->stack.start || sp >= t->stack.end)
		return 0;
	if (!is_whole(w, &walk, start, t)) {
		t->stack = (struct extent){ 0, 0 };
		return 0;
	}
	return with_frames ? set_frames(&walk, t) : 0;
}
