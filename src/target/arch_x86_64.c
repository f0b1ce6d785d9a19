/* SPDX-License-Identifier: MIT
 *
 * x86-64: where registers and system call arguments are, and how an interrupted call is undone.
 * Pure functions over struct arch_regs.
 */
#include "target/arch.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Segment of 64-bit user code: __USER_CS, arch/x86/include/asm/segment.h. */
#define USER_CS_64BIT 0x33

uint64_t arch_ip(const struct arch_regs *r)
{
	return r->raw.rip;
}

uint64_t arch_sp(const struct arch_regs *r)
{
	return r->raw.rsp;
}

uint64_t arch_thread_pointer(const struct arch_regs *r)
{
	return r->raw.fs_base;
}

/* System V ABI, 3.2.1: rbx, rbp, r12 to r15 belong to the caller; of the vector registers none. */
size_t arch_kept_registers(const struct arch_regs *r, uint64_t out[ARCH_KEPT_MAX])
{
	const uint64_t kept[ARCH_KEPT_MAX] = { r->raw.rbx, r->raw.rbp,	   r->raw.r12,
					       r->raw.r13, r->raw.r14,	   r->raw.r15,
					       r->raw.rsp, r->raw.fs_base, r->raw.gs_base };

	memcpy(out, kept, sizeof(kept));
	return ARCH_KEPT_MAX;
}

bool arch_is_64bit(const struct arch_regs *r)
{
	return r->raw.cs == USER_CS_64BIT;
}

long arch_syscall_number(const struct arch_regs *r)
{
	return (long)r->raw.orig_rax;
}

uint64_t arch_syscall_argument(const struct arch_regs *r, int i)
{
	switch (i) {
	case 0:
		return r->raw.rdi;
	case 1:
		return r->raw.rsi;
	case 2:
		return r->raw.rdx;
	case 3:
		return r->raw.r10;
	case 4:
		return r->raw.r8;
	default:
		return r->raw.r9;
	}
}

long arch_syscall_result(const struct arch_regs *r)
{
	return (long)r->raw.rax;
}

bool arch_syscall_restarts(const struct arch_regs *r)
{
	long result = arch_syscall_result(r);

	return arch_syscall_number(r) >= 0 &&
	       (result == -ARCH_ERESTARTSYS || result == -ARCH_ERESTARTNOINTR ||
		result == -ARCH_ERESTARTNOHAND || result == -ARCH_ERESTART_RESTARTBLOCK);
}

void arch_fill_sleeper(struct arch_regs *r, long number, const uint64_t arguments[6], uint64_t sp,
		       uint64_t ip)
{
	memset(r, 0, sizeof(*r));
	r->raw.orig_rax = (unsigned long long)number;
	r->raw.rax = (unsigned long long)-(long)ARCH_ERESTARTSYS;
	r->raw.rdi = arguments[0];
	r->raw.rsi = arguments[1];
	r->raw.rdx = arguments[2];
	r->raw.r10 = arguments[3];
	r->raw.r8 = arguments[4];
	r->raw.r9 = arguments[5];
	r->raw.rsp = sp;
	r->raw.rip = ip;
	r->raw.cs = USER_CS_64BIT;
}

bool arch_is_transfer(const struct arch_regs *r)
{
	switch (arch_syscall_number(r)) {
	case SYS_write:
	case SYS_writev:
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_recvmmsg:
	case SYS_sendfile:
	case SYS_splice:
	case SYS_tee:
	case SYS_vmsplice:
	case SYS_copy_file_range:
	case SYS_close: /* that lingers: it is not taken up again */
		return true;
	case SYS_recvfrom:
		return arch_syscall_argument(r, 3) & MSG_WAITALL;
	case SYS_recvmsg:
		return arch_syscall_argument(r, 2) & MSG_WAITALL;
	default:
		return false;
	}
}

bool arch_restarts_limit(const struct arch_regs *r)
{
	switch (arch_syscall_number(r)) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return (int)arch_syscall_argument(r, 3) > 0;
	case SYS_epoll_pwait2:
	case SYS_semtimedop:
		return arch_syscall_argument(r, 3) != 0;
	case SYS_rt_sigtimedwait:
		return arch_syscall_argument(r, 2) != 0;
	case SYS_io_getevents:
	case SYS_io_pgetevents:
		return arch_syscall_argument(r, 4) != 0;
	case SYS_io_uring_enter:
		return true; /* its limit lies in a struct of many forms */
	default:
		return false;
	}
}

int64_t arch_limit_ns(const struct arch_regs *r)
{
	switch (arch_syscall_number(r)) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return (int64_t)(int)arch_syscall_argument(r, 3) * 1000000;
	default:
		return 0;
	}
}

int arch_socket_limit_option(const struct arch_regs *r)
{
	switch (arch_syscall_number(r)) {
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_accept:
	case SYS_accept4:
		return SO_RCVTIMEO;
	case SYS_connect:
		return SO_SNDTIMEO;
	default:
		return 0;
	}
}

void arch_mark_limited(struct arch_regs *r)
{
	r->raw.rax = (unsigned long long)-(long)ARCH_ERESTARTNOHAND;
}

/* Calls that the kernel restarts with what is left of their time (ERESTART_RESTARTBLOCK). */
static bool arch_restarts_with_rest(long number)
{
	return number == SYS_poll || number == SYS_nanosleep || number == SYS_clock_nanosleep ||
	       number == SYS_futex;
}

long arch_restarted_number(const struct arch_regs *r, const uint8_t code[ARCH_SYSCALL_CODE_BYTES])
{
	const int last = ARCH_SYSCALL_CODE_BYTES - 2;

	if (code[last] != 0x0f || code[last + 1] != 0x05) /* syscall */
		return SYS_restart_syscall;
	for (int i = last - 5; i >= 0; i--) {
		int32_t number;

		if (code[i] != 0xb8) /* mov $number, %eax */
			continue;
		memcpy(&number, code + i + 1, sizeof(number));
		if (arch_restarts_with_rest(number))
			return number;
	}
	/* syscall(2) itself takes the number from its caller; what sleeps there with a deadline
	 * and an aligned word is a futex. */
	return r->raw.r10 && r->raw.rdi % 4 == 0 && (r->raw.rsi & ~0x1ffULL) == 0
		       ? SYS_futex
		       : SYS_restart_syscall;
}

/* The calls that give EINTR to a mere stop (measured with 28 kinds, Linux 6.18), with the
 * relatives of each that share its code in the kernel. */
static bool arch_gives_eintr(long number)
{
	switch (number) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_read: /* of a socket with a receive timeout */
	case SYS_readv:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_write:
	case SYS_writev:
	case SYS_connect:
	case SYS_accept:
	case SYS_accept4:
	case SYS_io_uring_enter:
		return true;
	default:
		return false;
	}
}

/*
 * The result is turned into ERESTARTNOHAND, the kernel's own word for "again, unless a handler
 * is to run first": as the thread goes on, the kernel either winds the call back or, if a signal
 * with a handler has come by then, answers EINTR as it would have without us. So no signal's
 * EINTR is lost, however late it arrives.
 */
bool arch_undo_interrupt(struct arch_regs *r)
{
	if (!arch_gives_eintr(arch_syscall_number(r)) || arch_syscall_result(r) != -EINTR)
		return false;
	r->raw.rax = (unsigned long long)-(long)ARCH_ERESTARTNOHAND;
	return true;
}
