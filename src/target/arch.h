/* SPDX-License-Identifier: MIT
 *
 * What depends on the processor: the registers of a stopped thread and the kernel's calling
 * convention as seen in them. One arch_*.c per processor; x86-64 now.
 */
#ifndef STRAND_TARGET_ARCH_H
#define STRAND_TARGET_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

/* General registers, as PTRACE_GETREGSET(NT_PRSTATUS) fills them. */
struct arch_regs {
	struct user_regs_struct raw;
};

/* Bytes below the stack pointer that a leaf function may use (System V ABI, 3.2.2). */
#define ARCH_RED_ZONE_BYTES 128

/* The kernel's own codes for an interrupted call, never seen by programs
 * (linux/errno.h, Linux 2.6 to 6.18). */
#define ARCH_ERESTARTSYS	   512
#define ARCH_ERESTARTNOINTR	   513
#define ARCH_ERESTARTNOHAND	   514
#define ARCH_ERESTART_RESTARTBLOCK 516

uint64_t arch_ip(const struct arch_regs *r);
uint64_t arch_sp(const struct arch_regs *r);
uint64_t arch_thread_pointer(const struct arch_regs *r); /* fs_base */

/* The registers that a function has to keep for its caller, and those that tell of the thread (stack
 * and thread pointer), into `out`; returns how many. */
#define ARCH_KEPT_MAX 9
size_t arch_kept_registers(const struct arch_regs *r, uint64_t out[ARCH_KEPT_MAX]);

/* Is the program a 64-bit one? */
bool arch_is_64bit(const struct arch_regs *r);

/* The number of the call that the thread was inside when it stopped, -1 if it ran user code. */
long arch_syscall_number(const struct arch_regs *r);
uint64_t arch_syscall_argument(const struct arch_regs *r, int i); /* i: 0 to 5 */
long arch_syscall_result(const struct arch_regs *r);

/* Was the call interrupted in its sleep by the stop and will be restarted by the kernel? */
bool arch_syscall_restarts(const struct arch_regs *r);

/* A thread inside restart_syscall: the number of the call that is being restarted, found in the
 * `code` that ends at its instruction pointer; what the registers hold else helps to guess.
 * SYS_restart_syscall if it cannot be told. */
#define ARCH_SYSCALL_CODE_BYTES 32
long arch_restarted_number(const struct arch_regs *r, const uint8_t code[ARCH_SYSCALL_CODE_BYTES]);

/* The registers that the kernel tells of a thread asleep in a call, without stopping it
 * (/proc/PID/task/TID/syscall); the others are zero. */
void arch_fill_sleeper(struct arch_regs *r, long number, const uint64_t arguments[6], uint64_t sp,
		       uint64_t ip);

/* Is this a call that, when stopped in its sleep, answers with what it has moved so far (a short
 * write)? That cannot be undone: a thread that sleeps in one is better left asleep. */
bool arch_is_transfer(const struct arch_regs *r);

/* Is this a call whose time limit would begin anew if it were stopped in its sleep? */
bool arch_restarts_limit(const struct arch_regs *r);

/* … and the limit, if it stands in a register: 0 if not. */
int64_t arch_limit_ns(const struct arch_regs *r);

/* Is this a call on a descriptor (its first argument) that ends in time if the descriptor is a
 * socket with a time limit? SO_RCVTIMEO or SO_SNDTIMEO if so, else 0. */
int arch_socket_limit_option(const struct arch_regs *r);

/* Note in a sleeper's registers what a stopped one's show: that the call has a time limit. */
void arch_mark_limited(struct arch_regs *r);

/* Some calls answer EINTR to the stop instead of restarting (epoll_wait, sigtimedwait, semop,
 * io_getevents, recv and accept with a timeout: measured). Change the registers so that the
 * kernel restarts the call when the thread goes on, or answers EINTR if a real signal comes
 * first. Returns true if something was changed: the caller must write the registers back. */
bool arch_undo_interrupt(struct arch_regs *r);

#endif
