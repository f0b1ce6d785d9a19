/* SPDX-License-Identifier: MIT
 *
 * Registers: system call arguments, the undoing of interrupted calls, restarted calls.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "target/arch.h"

static struct arch_regs in_call(long number, long result)
{
	struct arch_regs r = { 0 };

	r.raw.orig_rax = (unsigned long long)number;
	r.raw.rax = (unsigned long long)result;
	return r;
}

static void test_eintr_becomes_a_restart(void **state)
{
	static const long calls[] = { SYS_epoll_wait, SYS_epoll_pwait,	SYS_rt_sigtimedwait,
				      SYS_semop,      SYS_io_getevents, SYS_recvfrom,
				      SYS_accept,     SYS_semtimedop };

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct arch_regs r = in_call(calls[i], -EINTR);

		assert_true(arch_undo_interrupt(&r));
		assert_int_equal(arch_syscall_result(&r), -ARCH_ERESTARTNOHAND);
		assert_true(arch_syscall_restarts(&r));
		assert_int_equal(arch_syscall_number(&r), calls[i]);
		assert_false(arch_undo_interrupt(&r));
	}
}

static void test_other_results_are_left_alone(void **state)
{
	struct arch_regs closing = in_call(SYS_close, -EINTR);
	struct arch_regs done = in_call(SYS_epoll_wait, 3);
	struct arch_regs failed = in_call(SYS_epoll_wait, -EBADF);
	struct arch_regs user = in_call(-1, -EINTR);

	(void)state;
	assert_false(arch_undo_interrupt(&closing));
	assert_false(arch_undo_interrupt(&done));
	assert_false(arch_undo_interrupt(&failed));
	assert_false(arch_undo_interrupt(&user));
	assert_int_equal(arch_syscall_result(&user), -EINTR);
}

static void test_restarted_calls_are_traced_back(void **state)
{
	uint8_t code[ARCH_SYSCALL_CODE_BYTES] = { 0 };
	struct arch_regs r = in_call(SYS_restart_syscall, -ARCH_ERESTART_RESTARTBLOCK);
	int32_t number = SYS_clock_nanosleep;

	(void)state;
	assert_int_equal(arch_restarted_number(&r, code), SYS_restart_syscall);
	code[30] = 0x0f;
	code[31] = 0x05;
	assert_int_equal(arch_restarted_number(&r, code), SYS_restart_syscall);
	code[20] = 0xb8;
	memcpy(code + 21, &number, sizeof(number));
	assert_int_equal(arch_restarted_number(&r, code), SYS_clock_nanosleep);
	number = SYS_read; /* is never restarted with a rest: another instruction's bytes */
	memcpy(code + 21, &number, sizeof(number));
	assert_int_equal(arch_restarted_number(&r, code), SYS_restart_syscall);
	r.raw.rdi = 0x1000; /* through syscall(2): a futex by its arguments */
	r.raw.rsi = 0x189;
	r.raw.r10 = 0x7ffe0000;
	assert_int_equal(arch_restarted_number(&r, code), SYS_futex);
}

static void test_transfers(void **state)
{
	struct arch_regs write = in_call(SYS_write, -ARCH_ERESTARTSYS);
	struct arch_regs read = in_call(SYS_read, -ARCH_ERESTARTSYS);
	struct arch_regs recv = in_call(SYS_recvfrom, -ARCH_ERESTARTSYS);

	(void)state;
	assert_true(arch_is_transfer(&write));
	assert_false(arch_is_transfer(&read));
	assert_false(arch_is_transfer(&recv));
	recv.raw.r10 = MSG_WAITALL;
	assert_true(arch_is_transfer(&recv));
}

static void test_limits_that_begin_anew(void **state)
{
	struct arch_regs epoll = in_call(SYS_epoll_wait, -ARCH_ERESTARTSYS);
	struct arch_regs wait = in_call(SYS_rt_sigtimedwait, -ARCH_ERESTARTSYS);
	struct arch_regs accept = in_call(SYS_accept, -ARCH_ERESTARTSYS);

	(void)state;
	epoll.raw.r10 = 0xffffffff; /* -1: none */
	assert_false(arch_restarts_limit(&epoll));
	epoll.raw.r10 = 100;
	assert_true(arch_restarts_limit(&epoll));
	assert_false(arch_restarts_limit(&wait));
	wait.raw.rdx = 0x7ffe0000;
	assert_true(arch_restarts_limit(&wait));
	assert_int_equal(arch_socket_limit_option(&accept), SO_RCVTIMEO);
	assert_int_equal(arch_socket_limit_option(&epoll), 0);
}

static void test_sleepers(void **state)
{
	const uint64_t arguments[6] = { 1, 2, 3, 4, 5, 6 };
	struct arch_regs r;

	(void)state;
	arch_fill_sleeper(&r, SYS_write, arguments, 0x7000, 0x4000);
	for (int i = 0; i < 6; i++)
		assert_int_equal(arch_syscall_argument(&r, i), i + 1);
	assert_int_equal(arch_sp(&r), 0x7000);
	assert_int_equal(arch_ip(&r), 0x4000);
	assert_true(arch_syscall_restarts(&r));
	assert_true(arch_is_64bit(&r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eintr_becomes_a_restart),
		cmocka_unit_test(test_other_results_are_left_alone),
		cmocka_unit_test(test_restarted_calls_are_traced_back),
		cmocka_unit_test(test_transfers),
		cmocka_unit_test(test_limits_that_begin_anew),
		cmocka_unit_test(test_sleepers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
