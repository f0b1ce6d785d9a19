/* SPDX-License-Identifier: MIT
 *
 * Waits in system calls, in words: the call, the descriptor or child or signals it is about, and
 * what those are. The descriptors are read after the process runs again: the names are for
 * people, no verdict hangs on them.
 */
#include "readers/io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "err.h"
#include "readers/io_calls.h"
#include "target/descriptors.h"
#include "target/line.h"
#include "target/sockets.h"

#define IO_MAX_WATCHED	   4  /* descriptors of an epoll set that are named */
#define IO_MAX_LISTED	   32 /* descriptors of a select set that are looked at */
#define IO_MAX_SIGNALS	   6
#define IO_MORE_BYTES	   24 /* for ", and 123456 more)" */
#define IO_FIRST_RT_SIGNAL 34 /* glibc keeps 32 and 33 for itself */

struct io_names {
	struct descriptors *descriptors;
};

/* What all the functions that write the text need. */
struct io_context {
	struct descriptors *descriptors;
	const struct io_call *call;
	const struct arch_regs *regs;
	const struct snapshot *snap;
	struct io_wait *out;
	struct line line;
};

/* Descriptors in a call's set: the first ones, and how many there are. */
struct io_set {
	int v[IO_MAX_LISTED];
	size_t n;
	size_t total;
	bool more; /* more than `total` */
};

int io_names_create(pid_t pid, struct io_names **out)
{
	struct io_names *n = calloc(1, sizeof(*n));

	*out = n;
	if (!n)
		return ERR_NOMEM;
	if (descriptors_create(pid, &n->descriptors) == 0)
		return 0;
	free(n);
	*out = NULL;
	return ERR_NOMEM;
}

void io_names_free(struct io_names *n)
{
	if (!n)
		return;
	descriptors_free(n->descriptors);
	free(n);
}

static uint64_t io_argument(const struct io_context *c, int i)
{
	return arch_syscall_argument(c->regs, i);
}

static void io_describe_name(struct io_context *c)
{
	line_add(&c->line, "%s", c->call->name);
}

static enum object_kind io_object_kind(const struct descriptor *d)
{
	switch (d->kind) {
	case DESCRIPTOR_PIPE:
		return OBJECT_PIPE;
	case DESCRIPTOR_EVENTFD:
		return OBJECT_EVENTFD;
	default:
		return OBJECT_OTHER;
	}
}

/* Times that are not in the call's arguments but with the descriptor. A socket's own timeout is
 * known by what the stop made of the call: EINTR, which arch_undo_interrupt() turns into
 * ERESTARTNOHAND; without one it is ERESTARTSYS. */
static void io_read_descriptor_time(struct io_context *c, const struct descriptor *d)
{
	long result = arch_syscall_result(c->regs);

	if (d->kind == DESCRIPTOR_SOCKET)
		c->out->has_deadline |= result == -EINTR || result == -ARCH_ERESTARTNOHAND;
	if (d->kind == DESCRIPTOR_TIMERFD &&
	    descriptors_read_timer(c->descriptors, d->number, &c->out->deadline_left_ns))
		c->out->has_deadline = true;
}

/* "recv(12) tcp 127.0.0.1:80 -> …" */
static const struct descriptor *io_add_descriptor(struct io_context *c, const char *name,
						  int number)
{
	const struct descriptor *d = descriptors_find(c->descriptors, number);

	line_add(&c->line, "%s(%d)%s%s", name, number, d->text[0] ? " " : "", d->text);
	c->out->kind = io_object_kind(d);
	return d;
}

static void io_describe_descriptor(struct io_context *c)
{
	const char *name = c->call->name;

	if (c->call->class == IO_CLASS_RECEIVE && !io_argument(c, 4))
		name = "recv";
	if (c->call->class == IO_CLASS_SEND && !io_argument(c, 4))
		name = "send";
	io_read_descriptor_time(c, io_add_descriptor(c, name, (int)io_argument(c, 0)));
}

/* "connect(7) tcp -> 10.0.0.1:5432": of the near end there is nothing to say yet. */
static void io_describe_connect(struct io_context *c)
{
	int number = (int)io_argument(c, 0);
	const struct descriptor *d = descriptors_find(c->descriptors, number);
	uint8_t address[IO_MAX_ADDRESS_BYTES];
	size_t bytes = sizeof(address);
	char to[IO_MAX_ADDRESS_BYTES];

	if (bytes > io_argument(c, 2))
		bytes = (size_t)io_argument(c, 2);
	c->out->kind = io_object_kind(d);
	io_read_descriptor_time(c, d);
	line_add(&c->line, "connect(%d)%s%s", number, d->family[0] ? " " : "", d->family);
	if (snapshot_read_whole(c->snap, io_argument(c, 1), address, bytes) &&
	    sockets_format_address(address, bytes, to, sizeof(to)))
		line_add(&c->line, " -> %s", to);
	else if (d->remote[0])
		line_add(&c->line, " -> %s", d->remote);
}

/* "openat /run/fifo" */
static void io_describe_path(struct io_context *c)
{
	int argument = c->call->class == IO_CLASS_PATH_1;
	char path[IO_MAX_PATH_BYTES + 1];
	size_t n = snapshot_read(c->snap, io_argument(c, argument), path, IO_MAX_PATH_BYTES);

	path[n] = '\0';
	line_add(&c->line, "%s%s%s", c->call->name, path[0] ? " " : "", path);
}

/* ": 3 tcp 0.0.0.0:80 listening, 7 pipe:[12], and 4 more" as far as there is room. */
static void io_add_set_members(struct io_context *c, const struct io_set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++) {
		const struct descriptor *d = descriptors_find(c->descriptors, set->v[i]);

		if (i && strlen(d->text) + IO_MORE_BYTES + 16 > line_room(&c->line))
			break;
		line_add(&c->line, "%s %d%s%s", i ? "," : ":", set->v[i], d->text[0] ? " " : "",
			 d->text);
	}
	if (i && i < set->total)
		line_add(&c->line, ", and %zu more", set->total - i);
}

static void io_add_set(struct io_context *c, const struct io_set *set)
{
	if (!set->total)
		line_add(&c->line, "no descriptors");
	else
		line_add(&c->line, "%s%zu descriptor%s", set->more ? "over " : "", set->total,
			 set->total == 1 ? "" : "s");
	io_add_set_members(c, set);
}

/* "poll(3) pipe:[12]", "poll(2 descriptors: 3 …, 7 …)" */
static void io_describe_set(struct io_context *c, const struct io_set *set)
{
	if (set->total == 1 && set->n == 1) {
		io_add_descriptor(c, c->call->name, set->v[0]);
		return;
	}
	line_add(&c->line, "%s(", c->call->name);
	io_add_set(c, set);
	line_add(&c->line, ")");
}

/* Negative descriptors are ignored by poll(2). */
static void io_describe_poll(struct io_context *c)
{
	struct pollfd v[IO_MAX_POLLED];
	struct io_set set = { .total = (unsigned)io_argument(c, 1) };
	size_t n = set.total < IO_MAX_POLLED ? set.total : IO_MAX_POLLED;
	size_t i;

	n = snapshot_read(c->snap, io_argument(c, 0), v, n * sizeof(*v)) / sizeof(*v);
	for (i = 0; i < n; i++)
		if (v[i].fd >= 0)
			set.v[set.n++] = v[i].fd;
		else
			set.total--;
	io_describe_set(c, &set);
}

static void io_describe_select(struct io_context *c)
{
	uint64_t all[IO_MAX_SELECTED / 64] = { 0 };
	uint64_t one[IO_MAX_SELECTED / 64];
	size_t bytes = io_select_bytes(c->regs);
	int limit = (int)io_argument(c, 0);
	struct io_set set = { 0 };
	int i;

	for (i = 1; i <= 3; i++) {
		size_t word;

		if (!io_argument(c, i))
			continue;
		if (!snapshot_read_whole(c->snap, io_argument(c, i), one, bytes)) {
			io_describe_name(c);
			return;
		}
		for (word = 0; word < bytes / 8; word++)
			all[word] |= one[word];
	}
	for (i = 0; i < limit && i < IO_MAX_SELECTED; i++) {
		if (!(all[i / 64] >> (i % 64) & 1))
			continue;
		if (set.n < IO_MAX_LISTED)
			set.v[set.n++] = i;
		set.total++;
	}
	io_describe_set(c, &set);
}

/* "epoll_wait(5) 2 descriptors: 3 tcp 0.0.0.0:80 listening, 7 eventfd" */
static void io_describe_epoll(struct io_context *c)
{
	int number = (int)io_argument(c, 0);
	struct io_set set = { 0 };

	c->out->kind = OBJECT_OTHER;
	line_add(&c->line, "%s(%d)", c->call->name, number);
	if (descriptors_find(c->descriptors, number)->kind != DESCRIPTOR_EPOLL)
		return;
	set.total =
		descriptors_read_watched(c->descriptors, number, set.v, IO_MAX_WATCHED, &set.more);
	set.n = set.total < IO_MAX_WATCHED ? set.total : IO_MAX_WATCHED;
	line_add(&c->line, " ");
	io_add_set(c, &set);
}

static void io_add_signal(struct line *l, int number)
{
	const char *name = number < IO_FIRST_RT_SIGNAL ? sigabbrev_np(number) : NULL;

	if (name)
		line_add(l, "SIG%s", name);
	else if (number == IO_FIRST_RT_SIGNAL)
		line_add(l, "SIGRTMIN");
	else if (number > IO_FIRST_RT_SIGNAL)
		line_add(l, "SIGRTMIN+%d", number - IO_FIRST_RT_SIGNAL);
	else
		line_add(l, "signal %d", number);
}

/* "rt_sigtimedwait(SIGTERM, SIGUSR1)" */
static void io_describe_signals(struct io_context *c)
{
	const char *between = "";
	uint64_t set;
	int number;

	line_add(&c->line, "%s", c->call->name);
	if (!snapshot_read_whole(c->snap, io_argument(c, 0), &set, sizeof(set)))
		return;
	line_add(&c->line, "(");
	if (__builtin_popcountll(set) > IO_MAX_SIGNALS) {
		line_add(&c->line, "%d signals)", __builtin_popcountll(set));
		return;
	}
	for (number = 1; number <= 64; number++) {
		if (!(set >> (number - 1) & 1))
			continue;
		line_add(&c->line, "%s", between);
		io_add_signal(&c->line, number);
		between = ", ";
	}
	line_add(&c->line, ")");
}

/* "3600 s", "1.5 s", "250 ms" */
static void io_add_duration(struct line *l, int64_t ns)
{
	if (ns == TIME_UNKNOWN)
		return;
	if (ns >= 1000000000)
		line_add(l, " %.12g s", (double)(ns / 1000000) / 1e3);
	else if (ns >= 1000000)
		line_add(l, " %.12g ms", (double)(ns / 1000) / 1e3);
	else
		line_add(l, " %.12g us", (double)ns / 1e3);
}

/* The clock of a sleep that lasts until a point of it; how far that is stands elsewhere. */
static void io_describe_clock_sleep(struct io_context *c)
{
	static const char *const clocks[] = {
		[CLOCK_REALTIME] = "CLOCK_REALTIME",
		[CLOCK_MONOTONIC] = "CLOCK_MONOTONIC",
		[CLOCK_PROCESS_CPUTIME_ID] = "CLOCK_PROCESS_CPUTIME_ID",
		[CLOCK_BOOTTIME] = "CLOCK_BOOTTIME",
		[CLOCK_REALTIME_ALARM] = "CLOCK_REALTIME_ALARM",
		[CLOCK_BOOTTIME_ALARM] = "CLOCK_BOOTTIME_ALARM",
		[CLOCK_TAI] = "CLOCK_TAI",
	};
	uint32_t clock = (uint32_t)io_argument(c, 0);

	line_add(&c->line, "%s", c->call->name);
	if (!(io_argument(c, 1) & TIMER_ABSTIME))
		io_add_duration(&c->line, c->out->duration_ns);
	else if (clock < sizeof(clocks) / sizeof(*clocks) && clocks[clock])
		line_add(&c->line, "(%s)", clocks[clock]);
	else
		line_add(&c->line, "(clock %d)", (int)clock);
}

/* "wait4(child 12)" */
static void io_describe_wait_child(struct io_context *c)
{
	int pid = (int)io_argument(c, 0);

	if (pid > 0)
		line_add(&c->line, "%s(child %d)", c->call->name, pid);
	else if (pid == -1)
		line_add(&c->line, "%s(any child)", c->call->name);
	else if (pid == 0)
		line_add(&c->line, "%s(own group)", c->call->name);
	else
		line_add(&c->line, "%s(group %u)", c->call->name, -(unsigned)pid);
}

static void io_describe_wait_id(struct io_context *c)
{
	int id = (int)io_argument(c, 1);

	switch ((idtype_t)io_argument(c, 0)) {
	case P_PID:
		line_add(&c->line, "%s(child %d)", c->call->name, id);
		break;
	case P_PGID:
		line_add(&c->line, id ? "%s(group %d)" : "%s(own group)", c->call->name, id);
		break;
	case P_PIDFD:
		io_add_descriptor(c, c->call->name, id);
		break;
	default:
		line_add(&c->line, "%s(any child)", c->call->name);
		break;
	}
}

static void io_describe_sleep(struct io_context *c)
{
	line_add(&c->line, "%s", c->call->name);
	io_add_duration(&c->line, c->out->duration_ns);
}

static void io_describe_semaphores(struct io_context *c)
{
	line_add(&c->line, "%s(set %d)", c->call->name, (int)io_argument(c, 0));
}

static void io_describe_messages(struct io_context *c)
{
	line_add(&c->line, "%s(queue %d)", c->call->name, (int)io_argument(c, 0));
}

static void io_describe_futexes(struct io_context *c)
{
	unsigned n = (unsigned)io_argument(c, 1);

	line_add(&c->line, "%s(%u word%s)", c->call->name, n, n == 1 ? "" : "s");
}

static void (*const io_describers[])(struct io_context *) = {
	[IO_CLASS_NAME] = io_describe_name,
	[IO_CLASS_EVENT] = io_describe_name,
	[IO_CLASS_DESCRIPTOR] = io_describe_descriptor,
	[IO_CLASS_RECEIVE] = io_describe_descriptor,
	[IO_CLASS_SEND] = io_describe_descriptor,
	[IO_CLASS_CONNECT] = io_describe_connect,
	[IO_CLASS_PATH_0] = io_describe_path,
	[IO_CLASS_PATH_1] = io_describe_path,
	[IO_CLASS_POLL] = io_describe_poll,
	[IO_CLASS_SELECT] = io_describe_select,
	[IO_CLASS_EPOLL] = io_describe_epoll,
	[IO_CLASS_SIGNALS] = io_describe_signals,
	[IO_CLASS_SLEEP] = io_describe_sleep,
	[IO_CLASS_CLOCK_SLEEP] = io_describe_clock_sleep,
	[IO_CLASS_WAIT_CHILD] = io_describe_wait_child,
	[IO_CLASS_WAIT_ID] = io_describe_wait_id,
	[IO_CLASS_SEMAPHORES] = io_describe_semaphores,
	[IO_CLASS_MESSAGES] = io_describe_messages,
	[IO_CLASS_FUTEXES] = io_describe_futexes,
};

static enum wait_op io_class_op(enum io_class class)
{
	switch (class) {
	case IO_CLASS_NAME:
	case IO_CLASS_FUTEXES:
		return OP_OTHER;
	case IO_CLASS_SLEEP:
	case IO_CLASS_CLOCK_SLEEP:
		return OP_SLEEP;
	default:
		return OP_IO;
	}
}

void io_describe(struct io_names *names, long number, const struct arch_regs *regs,
		 const struct snapshot *snap, struct io_wait *out)
{
	struct io_context c = {
		.descriptors = names->descriptors,
		.call = io_call_find(number),
		.regs = regs,
		.snap = snap,
		.out = out,
	};

	memset(out, 0, sizeof(*out));
	out->op = io_class_op(c.call->class);
	out->kind = OBJECT_NONE;
	out->deadline_left_ns = TIME_UNKNOWN;
	out->duration_ns = TIME_UNKNOWN;
	if (!c.call->name) {
		io_syscall_name(number, out->text, sizeof(out->text));
		return;
	}
	io_read_time(c.descriptors, c.call, regs, snap, out);
	line_begin(&c.line, out->text, sizeof(out->text));
	io_describers[c.call->class](&c);
}
