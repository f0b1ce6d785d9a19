/* SPDX-License-Identifier: MIT
 *
 * What a thread's frames tell of its memory.
 *
 * Below the stack pointer a stack is out of use; but the stack pointer may be in another stack that
 * lies within the first: a coroutine's, or that of a signal handler, made of an array of some frame.
 * Then frames that are in use lie below. So the memory below is taken for unused only if the frames
 * lead, each further out than the one before, all the way to where the thread began: to the program's
 * entry point, or into the C library behind the call of the start routine. That call is known by what
 * follows it: the result is stored in the descriptor, where it is kept for whoever joins the thread.
 */
#include "readers/thread_memory_private.h"

#include <stdlib.h>
#include <string.h>

#include "target/elf_file.h"

/* The longest form of the call (call *%fs:disp32), and what may follow it up to the store. */
#define CALL_BYTES  8
#define AFTER_BYTES 16

/* struct pthread has, one after the other, result, schedparam, schedpolicy, start_routine:
 * nptl/descr.h, glibc 2.31 to 2.41. */
#define RESULT_BEFORE_START 16

/* _start of a program, or of the loader, with what follows there (_dl_start_user, which runs
 * constructors). */
#define ENTRY_BYTES 256

struct walk {
	struct unwind_frame v[UNWIND_FRAMES_MAX];
	size_t n;
	bool complete;
};

/* Does a call through a register or memory end at `end`? */
static bool is_indirect_call(const uint8_t *end)
{
	return (end[-2] == 0xff && (end[-1] & 0xf8) == 0xd0) || /* call *%reg */
	       (end[-6] == 0xff && (end[-5] & 0xf8) == 0x90 && end[-5] != 0x94) ||
	       (end[-7] == 0xff && end[-6] == 0x94) || /* call *disp32(%reg), of rsp and r12 */
	       (end[-8] == 0x64 && end[-7] == 0xff && end[-6] == 0x14 && end[-5] == 0x25);
}

/* Where the code at `ip` goes on after a jump, if it begins with one. */
static uint64_t skip_jump(const uint8_t *code, uint64_t ip)
{
	int32_t distance;

	if (code[0] == 0xeb)
		return ip + 2 + (uint64_t)(int64_t)(int8_t)code[1];
	if (code[0] != 0xe9)
		return ip;
	memcpy(&distance, code + 1, sizeof(distance));
	return ip + 5 + (uint64_t)(int64_t)distance;
}

/* Does the code at `ip` store what a function returned (made longer if it was an int, as C11's start
 * routines return) at offset `at` of the thread's own descriptor? */
static bool is_store_of_result(const struct modules *mods, uint64_t ip, uint64_t at)
{
	static const uint8_t lengthen[] = { 0x48, 0x98 };
	static const uint8_t store[] = { 0x64, 0x48, 0x89, 0x04, 0x25 };
	uint8_t code[AFTER_BYTES];
	uint32_t offset;

	for (int step = 0; step < 3; step++) {
		if (modules_read(mods, ip, code, sizeof(code)) != sizeof(code))
			return false;
		if (!memcmp(code, lengthen, sizeof(lengthen)))
			ip += sizeof(lengthen);
		else
			ip = skip_jump(code, ip);
	}
	if (modules_read(mods, ip, code, sizeof(code)) != sizeof(code))
		return false;
	memcpy(&offset, code + sizeof(store), sizeof(offset));
	return !memcmp(code, store, sizeof(store)) && offset == at;
}

/* Is `f` where the C library waits for a thread's start routine to return? */
static bool has_called_start(const struct thread_memory_work *w, const struct unwind_frame *f)
{
	const struct modules *mods = w->in->modules;
	const struct module *m = modules_find(mods, f->ip), *libc, *threads;
	uint8_t call[CALL_BYTES];

	libc_get_modules(w->in->libc, &libc, &threads);
	return !f->exact && m && (m == libc || m == threads) &&
	       modules_read(mods, f->ip - CALL_BYTES, call, sizeof(call)) == sizeof(call) &&
	       is_indirect_call(call + CALL_BYTES) &&
	       is_store_of_result(mods, f->ip, w->layout.start_routine - RESULT_BEFORE_START);
}

/* When the loader was called to run it, the program is not what the kernel was told to run. The C
 * library can be run, too, but is no program here. */
static bool is_program(const struct module *m)
{
	const Elf64_Phdr *v;
	size_t n;

	if (m->main_program)
		return true;
	v = elf_file_segments(m->file, &n);
	for (size_t i = 0; i < n && !m->soname; i++)
		if (v[i].p_type == PT_INTERP)
			return true;
	return false;
}

/* Is `f` where the kernel or the loader let the program begin? */
static bool is_entry(const struct thread_memory_work *w, const struct unwind_frame *f)
{
	const struct module *m = modules_find(w->in->modules, f->ip);
	uint64_t entry;

	if (!m || !m->file || (!is_program(m) && m != w->layout.loader))
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
