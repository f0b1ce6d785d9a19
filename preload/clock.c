/* SPDX-License-Identifier: MIT
 *
 * Time without clock_gettime(): a program may have one of its own, that locks.
 *
 * The pointer to the vDSO's function leads at first to one that looks for it; where there is no vDSO
 * (valgrind hides it) it ends at the system call. The coarse clocks are read from memory always, the
 * fine ones only if the kernel's clock source allows.
 */
#include "clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>

#include "image.h"

typedef int (*clock_function)(clockid_t, struct timespec *);

static int clock_first(clockid_t id, struct timespec *now);

static clock_function clock_get = clock_first;
static bool system_calls_forbidden;

static int clock_by_system_call(clockid_t id, struct timespec *now)
{
	long result;

	if (__atomic_load_n(&system_calls_forbidden, __ATOMIC_RELAXED))
		return -1;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"((long)SYS_clock_gettime), "D"((long)id), "S"(now)
			 : "rcx", "r11", "memory");
	return (int)result;
}

static clock_function find_in_vdso(void)
{
	const ElfW(Ehdr) *vdso = (const void *)getauxval(AT_SYSINFO_EHDR);
	const ElfW(Phdr) * headers;
	const ElfW(Dyn) *dynamic = NULL;
	struct image image;
	uintptr_t bias = 0;
	int i;

	if (!vdso)
		return NULL;
	headers = (const void *)((uintptr_t)vdso + vdso->e_phoff);
	for (i = 0; i < vdso->e_phnum; i++) {
		if (headers[i].p_type == PT_LOAD)
			bias = (uintptr_t)vdso + headers[i].p_offset - headers[i].p_vaddr;
		else if (headers[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)((uintptr_t)vdso + headers[i].p_offset);
	}
	if (!image_read(&image, bias, dynamic))
		return NULL;
	return (clock_function)image_find(&image, "__vdso_clock_gettime", NULL);
}

static int clock_first(clockid_t id, struct timespec *now)
{
	clock_function found = find_in_vdso();

	if (!found)
		found = clock_by_system_call;
	__atomic_store_n(&clock_get, found, __ATOMIC_RELAXED);
	return found(id, now);
}

static uint64_t now_ns(clockid_t id)
{
	struct timespec now;

	if (__atomic_load_n(&clock_get, __ATOMIC_RELAXED)(id, &now))
		return 0;
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void)
{
	return now_ns(CLOCK_MONOTONIC_COARSE);
}

uint64_t clock_fine_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

/* Both coarse clocks advance in the same tick: read within one they differ by just the offset. */
int64_t clock_realtime_offset_ns(void)
{
	uint64_t before, after = clock_now_ns(), real;
	int tries = 3;

	do {
		before = after;
		real = now_ns(CLOCK_REALTIME_COARSE);
		after = clock_now_ns();
	} while (before != after && --tries);
	return (int64_t)(real - after);
}

void clock_sandboxed(void)
{
	__atomic_store_n(&system_calls_forbidden, true, __ATOMIC_RELAXED);
}
