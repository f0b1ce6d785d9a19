/* SPDX-License-Identifier: MIT
 *
 * Errors of the core: functions return 0 or a negative code of err.def and fill a struct err
 * with what failed. The core prints nothing; commands turn the struct into one line.
 */
#ifndef STRAND_ERR_H
#define STRAND_ERR_H

#include <stddef.h>

enum err_position {
	ERR_POSITION_NONE,
#define ERR(name, why, todo) ERR_POSITION_##name,
#include "err.def"
#undef ERR
	ERR_POSITION_COUNT
};

enum err_code {
#define ERR(name, why, todo) ERR_##name = -(int)ERR_POSITION_##name,
#include "err.def"
#undef ERR
};

/* Owned by the caller, on its stack; holds no pointers. A zeroed one means "no error". */
struct err {
	int code;	/* 0, or an enum err_code */
	int sys_errno;	/* for ERR_SYS and where the kernel gave a reason; else 0 */
	char what[512]; /* what failed, for example "cannot look at process 4711" */
};

/* Fill `e` (may be NULL) and return `code`, so that callers can `return err_set(...)`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: keeps `sys_errno`, returns ERR_SYS. */
int err_set_errno(struct err *e, int sys_errno, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "what failed: why (what to do)", without newline, always terminated, made printable. */
void err_format(const struct err *e, char *buf, size_t size);

#endif
