/* SPDX-License-Identifier: MIT
 *
 * Any bytes as the unwind descriptions of a library, and as a stack: what the checks let pass must
 * not shake the unwinding libraries. The library is a copy of the vdso, whose .eh_frame_hdr and
 * what follows it are the input's, behind two numbers: where the thread is, and how much of the
 * input's end is its stack.
 */
#include "fuzz.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "stack/cfi_check.h"
#include "stack/unwind.h"
#include "target/elf_file.h"

#define BIAS	0x7f0000000000ull
#define STACK	0x7ffd00000000ull
#define NUMBERS 8 /* bytes of the two */

struct fuzz_stack {
	const uint8_t *data;
	size_t size;
};

/* Where the descriptions of the vdso are: up to its code. */
static bool find_region(const uint8_t *image, size_t size, size_t *start, size_t *end)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)(const void *)image;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(const void *)(image + h->e_phoff);

	for (size_t i = 0; i < h->e_phnum; i++)
		if (p[i].p_type == PT_GNU_EH_FRAME) {
			*start = p[i].p_offset;
			*end = *start + p[i].p_filesz + 2048;
			if (*end > h->e_entry && h->e_entry > *start)
				*end = h->e_entry;
			if (*end > size)
				*end = size;
			return *start < *end;
		}
	return false;
}

void fuzz_make_seeds(void)
{
	static const uint64_t stack[] = {
		STACK + 16, BIAS + 0xa00, STACK + 48, BIAS + 0xb00, 0, 0
	};
	size_t size, start, end;
	const uint8_t *image = fuzz_vdso(&size);
	uint8_t seed[65536] = { 0 };

	if (!image || !find_region(image, size, &start, &end) || end - start > 32768)
		return;
	memcpy(seed + NUMBERS, image + start, end - start);
	memcpy(seed + NUMBERS + end - start, stack, sizeof(stack));
	seed[4] = sizeof(stack);
	for (unsigned at = 0x600; at < 0x1000; at += 0x100) {
		memcpy(seed, &at, sizeof(at));
		fuzz_seed(seed, NUMBERS + end - start + sizeof(stack));
	}
}

static size_t read_stack(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct fuzz_stack *s = ctx;
	uint64_t at = address - STACK;

	if (address < STACK || at >= s->size)
		return 0;
	if (bytes > s->size - at)
		bytes = s->size - at;
	memcpy(buf, s->data + at, bytes);
	return bytes;
}

static void walk(const struct modules *mods, uint64_t ip, struct fuzz_stack *stack)
{
	struct unwind_frame frames[UNWIND_FRAMES_MAX];
	struct arch_regs regs;
	struct unwinder *u;
	struct err e;
	size_t n;
	bool complete;

	memset(&regs, 0, sizeof(regs));
	regs.raw.rip = ip;
	regs.raw.rsp = STACK;
	regs.raw.rbp = STACK + 32;
	if (unwinder_create(mods, read_stack, stack, &u, &e) != 0)
		return;
	unwinder_walk(u, &regs, frames, UNWIND_FRAMES_MAX, &n, &complete);
	FUZZ_CHECK(n >= 1 && n <= UNWIND_FRAMES_MAX);
	FUZZ_CHECK(frames[0].ip == ip);
	unwinder_free(u);
}

static void walk_file(int fd, uint64_t ip, struct fuzz_stack *stack)
{
	char path[64];
	struct modules_file file = { path, BIAS };
	struct modules *mods;
	struct err e;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (modules_open_files(&file, 1, &mods, &e) == 0) {
		walk(mods, BIAS + ip, stack);
		modules_close(mods);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t image_size, start, end;
	const uint8_t *vdso = fuzz_vdso(&image_size);
	uint64_t ip = fuzz_take(&data, &size, 4) % 0x4000;
	size_t stack_size = fuzz_take(&data, &size, 4) % 1024;
	struct fuzz_stack stack;
	uint8_t *image;
	int fd;

	cfi_check_debug_frame(data, size);
	if (!vdso || !find_region(vdso, image_size, &start, &end))
		return 0;
	if (stack_size > size)
		stack_size = size;
	size -= stack_size;
	stack = (struct fuzz_stack){ data + size, stack_size };
	image = malloc(image_size);
	if (!image)
		return 0;
	memcpy(image, vdso, image_size);
	memset(image + start, 0, end - start);
	memcpy(image + start, data, size < end - start ? size : end - start);
	fd = fuzz_file(image, image_size);
	free(image);
	walk_file(fd, ip, &stack);
	close(fd);
	return 0;
}
