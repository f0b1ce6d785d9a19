/* SPDX-License-Identifier: MIT
 *
 * A program that lives on signals, and notices if one is lost, doubled, delayed out of order or
 * delivered to a call that it must not disturb. A second process queues real-time signals, each
 * with the next number of its stream:
 *   - to a handler in one thread: the numbers must come in order, without a gap;
 *   - to a handler in any of four threads: every number exactly once;
 *   - to a thread in sigwaitinfo, and to one that reads a signalfd: in order, without a gap.
 * Meanwhile timers raise SIGALRM and a real-time signal all the time, one thread reads from a pipe
 * under SA_RESTART and must never see EINTR, and two compute with vector registers and compare.
 *
 * At a byte on standard input (or its end) the sender stops and says how many it sent; then all of
 * them must arrive. Prints `ok`, or what was wrong, and exits with 0 or 1.
 */
#include "../programs/prog.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { STREAMS = 4, ANY_THREADS = 4, NUMBERS_MAX = 1 << 24, ARRIVE_S = 20, FAULTS_SHOWN = 8 };
enum stream { HANDLED, HANDLED_ANYWHERE, WAITED, READ };

static const char *const stream_name[STREAMS] = { "a handler in one thread",
						  "handlers in four threads", "sigwaitinfo",
						  "a signalfd" };
static atomic_int arrived[STREAMS];
static atomic_long faults, alarms, ticks, computed, piped;
static atomic_uchar seen[NUMBERS_MAX / 8];
static atomic_bool stop;

/* One line for each of the first faults; write() alone, for handlers come here too. */
static void fault(const char *what, long expected, long got)
{
	char line[160];

	if (atomic_fetch_add(&faults, 1) >= FAULTS_SHOWN)
		return;
	snprintf(line, sizeof(line), "%s: expected %ld, got %ld\n", what, expected, got);
	prog_say(line);
}

static int signal_of(enum stream stream)
{
	return SIGRTMIN + 1 + stream;
}

static int tick_signal(void)
{
	return SIGRTMIN + 1 + STREAMS;
}

static void take_in_order(enum stream stream, int number)
{
	int expected = atomic_fetch_add(&arrived[stream], 1);

	if (number != expected)
		fault(stream_name[stream], expected, number);
}

static void on_ordered(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	take_in_order(HANDLED, info->si_value.sival_int);
}

static void on_anywhere(int signal, siginfo_t *info, void *context)
{
	int number = info->si_value.sival_int;
	unsigned char bit = 1 << number % 8;

	(void)signal, (void)context;
	if (number < 0 || number >= NUMBERS_MAX ||
	    (atomic_fetch_or(&seen[number / 8], bit) & bit) != 0)
		fault("a number that came before", -1, number);
	atomic_fetch_add(&arrived[HANDLED_ANYWHERE], 1);
}

static void on_alarm(int signal)
{
	(void)signal;
	atomic_fetch_add(&alarms, 1);
}

static void on_tick(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	atomic_fetch_add(&ticks, 1 + info->si_overrun);
}

static void allow(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	PROG_CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void *nap_with_handler(void *arg)
{
	allow(signal_of((enum stream)(intptr_t)arg));
	while (!atomic_load(&stop))
		prog_nap_ms(10);
	return arg;
}

static void *wait_for_signals(void *arg)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal_of(WAITED));
	while (!atomic_load(&stop)) {
		if (sigwaitinfo(&set, &info) < 0)
			fault("sigwaitinfo failed", 0, errno);
		else
			take_in_order(WAITED, info.si_value.sival_int);
	}
	return arg;
}

static void *read_signals(void *arg)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, signal_of(READ));
	fd = signalfd(-1, &set, 0);
	PROG_CHECK(fd >= 0);
	while (!atomic_load(&stop)) {
		if (read(fd, &info, sizeof(info)) != sizeof(info))
			fault("a read of the signalfd failed", 0, errno);
		else
			take_in_order(READ, info.ssi_int);
	}
	return arg;
}

static int pipe_end[2];

static void *read_pipe(void *arg)
{
	unsigned char byte, expected = 0;

	allow(SIGALRM);
	allow(tick_signal());
	while (!atomic_load(&stop)) {
		if (read(pipe_end[0], &byte, 1) != 1)
			fault("a read under SA_RESTART failed", 0, errno);
		else if (byte != expected)
			fault("another byte from the pipe", expected, byte);
		expected = byte + 1;
		atomic_fetch_add(&piped, 1);
	}
	return arg;
}

static void *write_pipe(void *arg)
{
	for (unsigned char byte = 0; !atomic_load(&stop); byte++) {
		PROG_CHECK(write(pipe_end[1], &byte, 1) == 1);
		usleep(1500);
	}
	return arg;
}

typedef double vector __attribute__((vector_size(16)));

/* Handlers interrupt this too; the same steps have to give the same sum every time. */
static vector compute(void)
{
	vector sum = { 0, 1 }, step = { 1.25, 1.5 };

	for (int i = 0; i < 20000; i++) {
		sum = sum * 0.999 + step;
		__asm__ volatile("" : "+x"(step));
	}
	return sum;
}

static void *compute_on(void *arg)
{
	const vector first = compute();

	allow(SIGALRM);
	while (!atomic_load(&stop)) {
		vector again = compute();

		if (memcmp(&again, &first, sizeof(first)) != 0)
			fault("another sum", (long)first[0], (long)again[0]);
		atomic_fetch_add(&computed, 1);
		usleep(2000);
	}
	return arg;
}

/* The other process: sends until its input ends, then says how many of each it has sent. */
static void send_until_told(pid_t to, int told, int says)
{
	struct pollfd input = { told, POLLIN, 0 };
	int sent[STREAMS] = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (poll(&input, 1, 0) == 0) {
		for (int stream = 0; stream < STREAMS; stream++) {
			union sigval value = { .sival_int = sent[stream] };

			if (sigqueue(to, signal_of((enum stream)stream), value) == 0)
				sent[stream]++;
			else
				PROG_CHECK(errno == EAGAIN); /* the queue is full */
		}
		usleep(200);
	}
	PROG_CHECK(write(says, sent, sizeof(sent)) == sizeof(sent));
	_exit(0);
}

static void install(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_RESTART | SA_SIGINFO };

	PROG_CHECK(sigaction(signal, &action, NULL) == 0);
}

static void install_all(void)
{
	struct sigaction on_alarms = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	sigset_t all;

	sigfillset(&all);
	PROG_CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
	PROG_CHECK(sigaction(SIGALRM, &on_alarms, NULL) == 0);
	install(signal_of(HANDLED), on_ordered);
	install(signal_of(HANDLED_ANYWHERE), on_anywhere);
	install(tick_signal(), on_tick);
}

static void start_timers(void)
{
	struct itimerval alarm_often = { { 0, 1300 }, { 0, 1300 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = tick_signal() };
	struct itimerspec often = { { 0, 1700000 }, { 0, 1700000 } };
	timer_t timer;

	PROG_CHECK(setitimer(ITIMER_REAL, &alarm_often, NULL) == 0);
	PROG_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	PROG_CHECK(timer_settime(timer, 0, &often, NULL) == 0);
}

static void start_threads(void)
{
	PROG_CHECK(pipe(pipe_end) == 0);
	prog_thread(nap_with_handler, (void *)(intptr_t)HANDLED);
	for (int i = 0; i < ANY_THREADS; i++)
		prog_thread(nap_with_handler, (void *)(intptr_t)HANDLED_ANYWHERE);
	prog_thread(wait_for_signals, NULL);
	prog_thread(read_signals, NULL);
	prog_thread(read_pipe, NULL);
	prog_thread(write_pipe, NULL);
	for (int i = 0; i < 2; i++)
		prog_thread(compute_on, NULL);
}

static void check_arrived(const int *sent)
{
	for (int stream = 0; stream < STREAMS; stream++) {
		for (int ms = 0; ms < ARRIVE_S * 1000; ms += 10) {
			if (atomic_load(&arrived[stream]) >= sent[stream])
				break;
			prog_nap_ms(10);
		}
		if (sent[stream] == 0 || atomic_load(&arrived[stream]) != sent[stream])
			fault(stream_name[stream], sent[stream], atomic_load(&arrived[stream]));
	}
	for (int number = 0; number < sent[HANDLED_ANYWHERE]; number++)
		if ((atomic_load(&seen[number / 8]) & 1 << number % 8) == 0)
			fault("a number that never came", number, -1);
}

int main(void)
{
	int tell[2], hear[2], sent[STREAMS];
	pid_t self = getpid(), sender;

	PROG_CHECK(pipe(tell) == 0 && pipe(hear) == 0);
	install_all();
	start_threads();
	sender = fork();
	PROG_CHECK(sender >= 0);
	if (sender == 0)
		send_until_told(self, tell[0], hear[1]);
	start_timers();
	prog_say("ready\n");
	while (!prog_stop())
		prog_nap_ms(50);
	PROG_CHECK(write(tell[1], "q", 1) == 1);
	PROG_CHECK(read(hear[0], sent, sizeof(sent)) == sizeof(sent));
	PROG_CHECK(waitpid(sender, NULL, 0) == sender);
	check_arrived(sent);
	if (alarms == 0 || ticks == 0 || computed == 0 || piped == 0)
		fault("a thread or timer that stood still", 1, 0);
	fprintf(stderr, "%d signals in each stream, %ld alarms, %ld ticks\n", sent[0], (long)alarms,
		(long)ticks);
	prog_end(faults == 0);
}
