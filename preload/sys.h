/* SPDX-License-Identifier: MIT
 *
 * System calls as the kernel gives them: 0 or more, or minus an error number. The shim makes no
 * other ones: errno stays the program's, nobody's wrapper is entered, and a child that shares the
 * memory of its parent (vfork) may make them too.
 *
 * Beside them the few things on memory and text that the C library would do: its own functions may
 * be another's by now (a sanitizer's), which expects threads that it knows.
 */
#ifndef STRAND_PRELOAD_SYS_H
#define STRAND_PRELOAD_SYS_H

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline int32_t sys_getpid(void)
{
	return (int32_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int32_t sys_gettid(void)
{
	return (int32_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_open(const char *path, int flags, int mode)
{
	return (int)sys_call(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, mode, 0, 0);
}

static inline void sys_close(int fd)
{
	sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long sys_read(int fd, void *buffer, size_t size)
{
	return sys_call(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0);
}

static inline int sys_fstat(int fd, struct stat *st)
{
	return (int)sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0);
}

static inline int sys_stat(const char *path, struct stat *st)
{
	return (int)sys_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)st, 0, 0, 0);
}

static inline int sys_fallocate(int fd, uint64_t offset, uint64_t bytes)
{
	return (int)sys_call(SYS_fallocate, fd, 0, (long)offset, (long)bytes, 0, 0);
}

/* NULL on failure, and why in *error if that is not NULL. */
static inline void *sys_map(int fd, uint64_t offset, size_t bytes, int *error)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	long at =
		sys_call(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, flags, fd, (long)offset);

	if (at >= 0 || at < -4095)
		return (void *)at;
	if (error)
		*error = (int)-at;
	return NULL;
}

/* Put private zeros in the place of what is mapped there. */
static inline void sys_map_over(void *at, size_t bytes)
{
	sys_call(SYS_mmap, (long)at, (long)bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static inline void sys_unmap(void *at, size_t bytes)
{
	sys_call(SYS_munmap, (long)at, (long)bytes, 0, 0, 0, 0);
}

/* Block every signal, or set the mask that was there; masks are the kernel's eight bytes. */
static inline void sys_block_signals(uint64_t *old)
{
	uint64_t all = ~0ull;

	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)old, sizeof(all), 0, 0);
}

static inline void sys_restore_signals(const uint64_t *old)
{
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)old, 0, sizeof(*old), 0, 0);
}

/* Futexes in files are shared ones. */
static inline void sys_futex_wake(uint32_t *word)
{
	sys_call(SYS_futex, (long)word, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

static inline void sys_futex_wait(uint32_t *word, uint32_t value, long ns)
{
	struct timespec timeout = { .tv_sec = 0, .tv_nsec = ns };

	sys_call(SYS_futex, (long)word, FUTEX_WAIT, (long)value, (long)&timeout, 0, 0);
}

/* -- text --------------------------------------------------------------------------------------- */

static inline size_t text_length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static inline bool text_begins(const char *text, const char *beginning)
{
	while (*beginning && *text == *beginning) {
		text++;
		beginning++;
	}
	return !*beginning;
}

/* Append to the text of *used bytes in a buffer; what does not fit sets *used to `size`, and then
 * nothing fits any more. */
static inline void text_add(char *buffer, size_t size, size_t *used, const char *s)
{
	size_t n = text_length(s);
	size_t i;

	if (*used + n >= size) {
		*used = size;
		return;
	}
	for (i = 0; i <= n; i++)
		buffer[*used + i] = s[i];
	*used += n;
}

static inline void text_add_number(char *buffer, size_t size, size_t *used, uint64_t value)
{
	char digits[24];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	text_add(buffer, size, used, digits + i);
}

#endif
