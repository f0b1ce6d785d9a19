/* SPDX-License-Identifier: MIT
 *
 * System calls: their names, the memory behind their arguments that is worth copying while the
 * process stands still, and the times in it.
 *
 * What the stop itself leaves behind is made use of (measured on Linux 6.18): a sleep that it
 * interrupts has written the time left to its second pointer, and select, pselect and ppoll have
 * written it over their timeout, before the thread is seen stopped.
 */
#include "readers/io_calls.h"

#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

/* linux/io_uring.h: the last arguments are a struct of 24 bytes, its last 8 a timeout. */
#define IO_URING_EXT_ARG       8u
#define IO_URING_EXT_ARG_WORDS 3
#define IO_URING_EXT_ARG_TIME  2

#define NS_PER_S INT64_C(1000000000)

static const struct io_call io_calls[] = {
#define SYSCALL(number, name, class, time, argument) \
	[number] = { #name, IO_CLASS_##class, IO_TIME_##time, argument },
#include "readers/syscalls.def"
#undef SYSCALL
};

const struct io_call *io_call_find(long number)
{
	static const struct io_call unknown = { NULL, IO_CLASS_NAME, IO_TIME_NEVER, 0 };

	if (number < 0 || (size_t)number >= sizeof(io_calls) / sizeof(*io_calls))
		return &unknown;
	return &io_calls[number];
}

const char *io_syscall_name(long number, char *buf, size_t size)
{
	const struct io_call *call = io_call_find(number);

	if (call->name)
		return call->name;
	snprintf(buf, size, "syscall_%ld", number);
	return buf;
}

size_t io_select_bytes(const struct arch_regs *regs)
{
	int n = (int)arch_syscall_argument(regs, 0);

	if (n <= 0)
		return 0;
	if (n > IO_MAX_SELECTED)
		n = IO_MAX_SELECTED;
	return ((size_t)n + 63) / 64 * 8;
}

/* Could it be an address of a program's memory? What is not is never asked for: memory that
 * cannot be read would be counted against the look. */
static bool io_is_address(uint64_t value)
{
	return value >= 4096 && value < UINT64_C(1) << 56;
}

static int io_want(struct snapshot *snap, const struct arch_regs *regs, int argument, size_t bytes)
{
	uint64_t address = arch_syscall_argument(regs, argument);

	return io_is_address(address) ? snapshot_want(snap, address, bytes) : 0;
}

static int io_want_two(struct snapshot *snap, const struct arch_regs *regs, int first)
{
	int rc = io_want(snap, regs, first, sizeof(struct timespec));

	return rc < 0 ? rc : io_want(snap, regs, first + 1, sizeof(struct timespec));
}

static size_t io_min(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

static int io_want_polled(struct snapshot *snap, const struct arch_regs *regs)
{
	size_t n = io_min(arch_syscall_argument(regs, 1), IO_MAX_POLLED);

	return io_want(snap, regs, 0, n * sizeof(struct pollfd));
}

static int io_want_selected(struct snapshot *snap, const struct arch_regs *regs)
{
	int rc = 0;
	int set;

	for (set = 1; set <= 3 && rc >= 0; set++)
		rc = io_want(snap, regs, set, io_select_bytes(regs));
	return rc;
}

static int io_want_for_class(const struct io_call *call, const struct arch_regs *regs,
			     struct snapshot *snap)
{
	switch (call->class) {
	case IO_CLASS_CONNECT:
		return io_want(snap, regs, 1,
			       io_min(arch_syscall_argument(regs, 2), IO_MAX_ADDRESS_BYTES));
	case IO_CLASS_PATH_0:
		return io_want(snap, regs, 0, IO_MAX_PATH_BYTES);
	case IO_CLASS_PATH_1:
		return io_want(snap, regs, 1, IO_MAX_PATH_BYTES);
	case IO_CLASS_POLL:
		return io_want_polled(snap, regs);
	case IO_CLASS_SELECT:
		return io_want_selected(snap, regs);
	case IO_CLASS_SIGNALS:
		return io_want(snap, regs, 0, sizeof(uint64_t));
	default:
		return 0;
	}
}

static int io_want_for_time(const struct io_call *call, const struct arch_regs *regs,
			    struct snapshot *snap)
{
	switch (call->time) {
	case IO_TIME_NEVER:
	case IO_TIME_MILLISECONDS:
		return 0;
	case IO_TIME_SLEEP:
	case IO_TIME_CLOCK_SLEEP:
		return io_want_two(snap, regs, call->argument);
	case IO_TIME_EXTENDED:
		if (!(arch_syscall_argument(regs, 3) & IO_URING_EXT_ARG))
			return 0;
		return io_want(snap, regs, call->argument,
			       IO_URING_EXT_ARG_WORDS * sizeof(uint64_t));
	default:
		return io_want(snap, regs, call->argument, sizeof(struct timespec));
	}
}

/*
 * A call that was stopped once and restarted: it goes by the number of restart_syscall, what it
 * was is traced back later. It may be nanosleep (two pointers), clock_nanosleep (a clock, flags,
 * two pointers) or poll (a pointer, a number, a time): told apart by how big the values are, in
 * doubt nothing is asked for. Futexes are not ours.
 */
static int io_want_restarted(const struct arch_regs *regs, struct snapshot *snap)
{
	const uint64_t max_descriptors = 0x400000; /* programs begin here at the lowest */
	uint64_t second = arch_syscall_argument(regs, 1);

	if (!io_is_address(arch_syscall_argument(regs, 0)))
		return arch_syscall_argument(regs, 2) > UINT32_MAX ? io_want_two(snap, regs, 2) : 0;
	if (second == 0)
		return io_want(snap, regs, 0, sizeof(struct timespec));
	if (second >= max_descriptors)
		return io_want_two(snap, regs, 0);
	return io_want_polled(snap, regs);
}

int io_want_memory(const struct arch_regs *regs, struct snapshot *snap)
{
	long number = arch_syscall_number(regs);
	const struct io_call *call = io_call_find(number);
	int rc;

	if (number == SYS_restart_syscall)
		return io_want_restarted(regs, snap);
	rc = io_want_for_class(call, regs, snap);
	return rc < 0 ? rc : io_want_for_time(call, regs, snap);
}

/* A struct timespec, or timeval if a second has a million `units`, in ns. */
static int64_t io_read_ns(const struct snapshot *snap, uint64_t address, int64_t units)
{
	int64_t v[2];

	if (!snapshot_read_whole(snap, address, v, sizeof(v)) || v[0] < 0 || v[1] < 0 ||
	    v[1] >= NS_PER_S)
		return TIME_UNKNOWN;
	/* Microseconds may be given as more than a second's: up to a thousand of them. */
	if (v[0] >= INT64_MAX / NS_PER_S - 1000)
		return INT64_MAX;
	return (v[0] + v[1] / units) * NS_PER_S + v[1] % units * (NS_PER_S / units);
}

/* What is left until `point` of a clock; a clock that does not run with the time tells nothing. */
static int64_t io_left_until(struct descriptors *d, int64_t point, clockid_t clock)
{
	struct timespec now;
	int64_t left;

	if (clock == CLOCK_REALTIME_ALARM)
		clock = CLOCK_REALTIME;
	if (clock == CLOCK_BOOTTIME_ALARM)
		clock = CLOCK_BOOTTIME;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    clock != CLOCK_TAI)
		return TIME_UNKNOWN;
	if (!descriptors_are_known(d) || point == TIME_UNKNOWN || clock_gettime(clock, &now) != 0 ||
	    __builtin_sub_overflow(point, descriptors_read_clock_offset(d, clock), &left))
		return TIME_UNKNOWN;
	left -= now.tv_sec * NS_PER_S + now.tv_nsec;
	return left < 0 ? 0 : left;
}

/* The second pointer of a sleep holds what is left once the stop has interrupted it. Programs
 * often pass the same pointer twice (glibc's sleep does): then the request is gone. */
static void io_read_sleep(const struct arch_regs *regs, const struct snapshot *snap, int argument,
			  struct io_wait *out)
{
	uint64_t request = arch_syscall_argument(regs, argument);
	uint64_t rest = arch_syscall_argument(regs, argument + 1);

	if (rest && arch_syscall_result(regs) == -ARCH_ERESTART_RESTARTBLOCK)
		out->deadline_left_ns = io_read_ns(snap, rest, NS_PER_S);
	if (rest != request || out->deadline_left_ns == TIME_UNKNOWN)
		out->duration_ns = io_read_ns(snap, request, NS_PER_S);
}

static void io_read_relative(const struct arch_regs *regs, const struct snapshot *snap,
			     const struct io_call *call, struct io_wait *out)
{
	int64_t units = call->time == IO_TIME_TIMEVAL_LEFT ? 1000000 : NS_PER_S;
	int64_t ns = io_read_ns(snap, arch_syscall_argument(regs, call->argument), units);

	if (call->time != IO_TIME_TIMESPEC && arch_syscall_result(regs) == -ARCH_ERESTARTNOHAND)
		out->deadline_left_ns = ns;
	else
		out->duration_ns = ns;
}

static bool io_uring_has_timeout(const struct arch_regs *regs, const struct snapshot *snap,
				 int argument)
{
	uint64_t v[IO_URING_EXT_ARG_WORDS];

	return (arch_syscall_argument(regs, 3) & IO_URING_EXT_ARG) &&
	       snapshot_read_whole(snap, arch_syscall_argument(regs, argument), v, sizeof(v)) &&
	       v[IO_URING_EXT_ARG_TIME];
}

static void io_read_until(struct descriptors *d, const struct arch_regs *regs,
			  const struct snapshot *snap, int argument, clockid_t clock,
			  struct io_wait *out)
{
	int64_t point = io_read_ns(snap, arch_syscall_argument(regs, argument), NS_PER_S);

	out->deadline_left_ns = io_left_until(d, point, clock);
}

void io_read_time(struct descriptors *d, const struct io_call *call, const struct arch_regs *regs,
		  const struct snapshot *snap, struct io_wait *out)
{
	uint64_t value = arch_syscall_argument(regs, call->argument);
	bool until = (arch_syscall_argument(regs, 1) & TIMER_ABSTIME) != 0;

	out->has_deadline = call->time != IO_TIME_NEVER && value != 0;
	switch (call->time) {
	case IO_TIME_NEVER:
		break;
	case IO_TIME_MILLISECONDS:
		out->has_deadline = (int)value >= 0;
		if (out->has_deadline)
			out->duration_ns = (int)value * INT64_C(1000000);
		break;
	case IO_TIME_TIMESPEC:
	case IO_TIME_TIMESPEC_LEFT:
	case IO_TIME_TIMEVAL_LEFT:
		if (out->has_deadline)
			io_read_relative(regs, snap, call, out);
		break;
	case IO_TIME_UNTIL_REALTIME:
		if (out->has_deadline)
			io_read_until(d, regs, snap, call->argument, CLOCK_REALTIME, out);
		break;
	case IO_TIME_UNTIL_CLOCK:
		if (out->has_deadline)
			io_read_until(d, regs, snap, call->argument,
				      (clockid_t)arch_syscall_argument(regs, call->argument + 1),
				      out);
		break;
	case IO_TIME_SLEEP:
		io_read_sleep(regs, snap, call->argument, out);
		break;
	case IO_TIME_CLOCK_SLEEP:
		if (until)
			io_read_until(d, regs, snap, call->argument,
				      (clockid_t)arch_syscall_argument(regs, 0), out);
		else
			io_read_sleep(regs, snap, call->argument, out);
		break;
	case IO_TIME_EXTENDED:
		out->has_deadline = io_uring_has_timeout(regs, snap, call->argument);
		break;
	}
}
