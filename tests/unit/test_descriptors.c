/* SPDX-License-Identifier: MIT
 *
 * Descriptors in words: of this process, of one whose main thread has ended, of one in a time
 * namespace; and the socket tables of the kernel, given and damaged.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/descriptors.h"
#include "target/line.h"
#include "target/sockets.h"

static struct descriptors *own(void)
{
	struct descriptors *d;

	assert_int_equal(descriptors_create(getpid(), &d), 0);
	return d;
}

static void check(struct descriptors *d, int fd, enum descriptor_kind kind, const char *text)
{
	const struct descriptor *found = descriptors_find(d, fd);

	assert_int_equal(found->number, fd);
	assert_int_equal(found->kind, kind);
	assert_string_equal(found->text, text);
}

static void test_kinds(void **state)
{
	struct descriptors *d = own();
	char text[64];
	struct stat st;
	int fd[8];
	int pair[2];
	size_t i;

	(void)state;
	fd[0] = open("/dev/null", O_RDONLY);
	check(d, fd[0], DESCRIPTOR_FILE, "/dev/null");
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(fstat(pair[0], &st), 0);
	snprintf(text, sizeof(text), "pipe:[%lu]", (unsigned long)st.st_ino);
	check(d, pair[0], DESCRIPTOR_PIPE, text);
	check(d, pair[1], DESCRIPTOR_PIPE, text);
	fd[1] = eventfd(0, 0);
	check(d, fd[1], DESCRIPTOR_EVENTFD, "eventfd");
	fd[2] = epoll_create1(0);
	check(d, fd[2], DESCRIPTOR_EPOLL, "epoll");
	fd[3] = timerfd_create(CLOCK_REALTIME, 0);
	check(d, fd[3], DESCRIPTOR_TIMERFD, "timerfd");
	fd[4] = inotify_init1(0);
	check(d, fd[4], DESCRIPTOR_OTHER, "inotify");
	fd[5] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(fstat(fd[5], &st), 0);
	snprintf(text, sizeof(text), "tcp socket:[%lu]", (unsigned long)st.st_ino);
	check(d, fd[5], DESCRIPTOR_SOCKET, text);
	check(d, -1, DESCRIPTOR_UNKNOWN, "");
	check(d, 1 << 30, DESCRIPTOR_UNKNOWN, "");
	close(fd[0]); /* what was read once is kept */
	check(d, fd[0], DESCRIPTOR_FILE, "/dev/null");
	for (i = 1; i < 6; i++)
		close(fd[i]);
	close(pair[0]);
	close(pair[1]);
	descriptors_free(d);
}

static void test_odd_paths(void **state)
{
	char path[] = "/tmp/strand-\033[31m\n\xc3\xa4+-XXXXXX";
	struct descriptors *d = own();
	int fd = mkstemp(path);
	char text[64];

	(void)state;
	assert_true(fd >= 0);
	snprintf(text, sizeof(text), "/tmp/strand-?[31m???+-%s", strrchr(path, '-') + 1);
	check(d, fd, DESCRIPTOR_FILE, text);
	unlink(path);
	close(fd);
	descriptors_free(d);
}

static void test_watched(void **state)
{
	struct epoll_event in = { .events = EPOLLIN };
	struct descriptors *d = own();
	int epoll = epoll_create1(0);
	int fds[4] = { -1, -1, -1, -1 };
	bool cut;
	int v[8];
	int i;

	(void)state;
	assert_int_equal(descriptors_read_watched(d, epoll, fds, 4, &cut), 0);
	for (i = 0; i < 8; i++) {
		v[i] = eventfd(0, 0);
		assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, v[i], &in), 0);
	}
	assert_int_equal(descriptors_read_watched(d, epoll, fds, 4, &cut), 8);
	assert_memory_equal(fds, v, sizeof(fds));
	assert_int_equal(descriptors_read_watched(d, epoll, NULL, 0, &cut), 8);
	assert_false(cut);
	assert_int_equal(descriptors_read_watched(d, v[0], fds, 4, &cut), 0);
	for (i = 0; i < 8; i++)
		close(v[i]);
	close(epoll);
	descriptors_free(d);
}

/* A set with so many members that they are not all counted. */
static void test_watched_many(void **state)
{
	struct epoll_event in = { .events = EPOLLIN };
	struct descriptors *d = own();
	int epoll = epoll_create1(0);
	int event = eventfd(0, 0);
	int last = 4500;
	size_t n;
	bool cut;
	int i;

	(void)state;
	for (i = event + 1; i <= last; i++) {
		if (dup2(event, i) < 0)
			break; /* no more are allowed here */
		assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, i, &in), 0);
	}
	n = descriptors_read_watched(d, epoll, NULL, 0, &cut);
	assert_true(n <= (size_t)(i - event - 1));
	assert_true(cut == (n < (size_t)(i - event - 1)));
	while (--i > event)
		close(i);
	close(event);
	close(epoll);
	descriptors_free(d);
}

static void test_timer(void **state)
{
	struct itimerspec in_50s = { .it_value = { 50, 0 }, .it_interval = { 1000, 0 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct descriptors *d = own();
	int64_t left;

	(void)state;
	assert_false(descriptors_read_timer(d, fd, &left));
	assert_int_equal(timerfd_settime(fd, 0, &in_50s, NULL), 0);
	assert_true(descriptors_read_timer(d, fd, &left));
	assert_true(left > 40000000000 && left <= 50000000000);
	assert_false(descriptors_read_timer(d, -1, &left));
	close(fd);
	descriptors_free(d);
}

static void *sleep_on(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* Of a main thread that has ended, /proc shows no descriptors; the process has them still. */
static void test_ended_main_thread(void **state)
{
	struct descriptors *d;
	int event = eventfd(0, 0);
	char path[64], text[64];
	pid_t pid = fork();
	int i;

	(void)state;
	if (!pid) {
		pthread_t t;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		pthread_create(&t, NULL, sleep_on, NULL);
		syscall(SYS_exit, 0);
	}
	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)pid);
	for (i = 0; i < 5000 && readlink(path, text, sizeof(text)) >= 0; i++)
		usleep(1000);
	assert_int_equal(descriptors_create(pid, &d), 0);
	check(d, event, DESCRIPTOR_EVENTFD, "eventfd");
	descriptors_free(d);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(event);
}

static void test_gone_process(void **state)
{
	struct descriptors *d;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(descriptors_create(pid, &d), 0);
	check(d, 0, DESCRIPTOR_UNKNOWN, "");
	assert_int_equal(descriptors_read_clock_offset(d, CLOCK_MONOTONIC), 0);
	descriptors_free(d);
}

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static void test_time_namespace(void **state)
{
	static const char offsets[] = "monotonic 3600 5\nboottime 7200 0\n";
	struct descriptors *d;
	int done[2];
	pid_t pid;
	char ok = 0;

	(void)state;
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (!pid) {
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		ok = unshare(CLONE_NEWTIME) == 0;
		fd = open("/proc/self/timens_offsets", O_WRONLY);
		ok = ok && write(fd, offsets, sizeof(offsets) - 1) > 0;
		(void)!write(done[1], &ok, 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(done[0], &ok, 1), 1);
	assert_int_equal(descriptors_create(pid, &d), 0);
	if (ok) {
		assert_int_equal(descriptors_read_clock_offset(d, CLOCK_MONOTONIC),
				 3600 * INT64_C(1000000000) + 5);
		assert_int_equal(descriptors_read_clock_offset(d, CLOCK_BOOTTIME),
				 7200 * INT64_C(1000000000));
		assert_int_equal(descriptors_read_clock_offset(d, CLOCK_REALTIME), 0);
	}
	descriptors_free(d);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(done[0]);
	close(done[1]);
	if (!ok)
		skip();
}

/* Socket tables in a folder of the test's own. */

static char base[] = "/tmp/strand-net-XXXXXX";

static void write_table(const char *name, const char *text, size_t bytes)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/net", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/net/%s", base, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, bytes), bytes);
	close(fd);
}

static void remove_table(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/net/%s", base, name);
	unlink(path);
}

static void check_socket(struct sockets *s, const char *protocol, uint64_t inode,
			 const char *family, const char *local, const char *remote,
			 const char *socket_state)
{
	struct socket_name name;

	sockets_find(s, protocol, inode, &name);
	assert_string_equal(name.family, family);
	assert_string_equal(name.local, local);
	assert_string_equal(name.remote, remote);
	assert_int_equal(!name.state, !socket_state);
	if (socket_state)
		assert_string_equal(name.state, socket_state);
}

#define INET_HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when uid inode\n"
#define INET_LINE(local, remote, st, inode)                                               \
	"   0: " local " " remote " " st " 00000000:00000000 00:00000000 00000000     0 " \
	"       0 " inode " 1 0000000050a85af2 100 0 0 10 0                     \n"

static const char tcp_table[] = INET_HEAD INET_LINE("00000000:07E8", "00000000:0000", "0A", "17")
	INET_LINE("0100007F:1F90", "0A00000A:1538", "01", "12")
		INET_LINE("0100007F:1F90", "0A00000A:1538", "06", "0")
			INET_LINE("0100007F:1F91", "0A00000A:1538", "02", "4294967297");

static const char tcp6_table[] = INET_HEAD INET_LINE("00000000000000000000000000000000:0050",
						     "00000000000000000000000000000000:0000", "0A",
						     "21")
	INET_LINE("0000000000000000FFFF00000100007F:0050", "0000000000000000FFFF00000200007F:D431",
		  "08", "22") INET_LINE("B80D0120000000000000000001000000:01BB",
					"000080FE00000000FF005450AAAA00FE:0001", "01", "23");

static const char unix_table[] =
	"Num       RefCount Protocol Flags    Type St Inode Path\n"
	"00000000ccaf5605: 00000003 00000000 00000000 0001 03  1587\n"
	"00000000ccaf5606: 00000002 00000000 00010000 0001 01  1588 /run/a b c d\n"
	"00000000ccaf5607: 00000002 00000000 00010000 0005 01  1589 @abstract@x\n";

static void test_socket_tables(void **state)
{
	struct sockets *s;

	(void)state;
	write_table("tcp", tcp_table, sizeof(tcp_table) - 1);
	write_table("tcp6", tcp6_table, sizeof(tcp6_table) - 1);
	write_table("unix", unix_table, sizeof(unix_table) - 1);
	assert_int_equal(sockets_create(base, &s), 0);
	check_socket(s, "TCP", 17, "tcp", "0.0.0.0:2024", "", "listening");
	check_socket(s, "TCP", 12, "tcp", "127.0.0.1:8080", "10.0.0.10:5432", "established");
	check_socket(s, "", 4294967297, "tcp", "127.0.0.1:8081", "10.0.0.10:5432", "connecting");
	check_socket(s, "TCP", 0, "tcp", "", "", NULL);
	check_socket(s, "TCP", 1, "tcp", "", "", NULL);
	check_socket(s, "TCPv6", 21, "tcp", "[::]:80", "", "listening");
	check_socket(s, "TCPv6", 22, "tcp", "127.0.0.1:80", "127.0.0.2:54321", "close-wait");
	check_socket(s, "", 23, "tcp", "[2001:db8::1]:443", "[fe80::5054:ff:fe00:aaaa]:1",
		     "established");
	check_socket(s, "TCP", 23, "tcp", "", "", NULL); /* of another table */
	check_socket(s, "UNIX-STREAM", 1587, "unix", "", "", NULL);
	check_socket(s, "UNIX", 1588, "unix", "/run/a b c d", "", NULL);
	check_socket(s, "", 1589, "unix", "@abstract@x", "", NULL);
	check_socket(s, "UDP", 1, "udp", "", "", NULL); /* no such table here */
	check_socket(s, "VSOCK", 1, "vsock", "", "", NULL);
	check_socket(s, "", 1, "", "", "", NULL);
	check_socket(s, "A-NAME-LONGER-THAN-ANY-PROTOCOL-HAS", 1, "a-name-longer-t", "", "", NULL);
	sockets_free(s);
}

/* Lines of any length and content, in every table. */
static void test_damaged_tables(void **state)
{
	static const char *const names[] = { "tcp", "tcp6", "unix", "netlink", "packet" };
	static const char bytes[] = "0123456789ABCDEFG:: \n\n -/@";
	size_t size = 200000;
	char *text = malloc(size);
	struct sockets *s;
	unsigned seed = 5;
	int round;
	size_t i;

	(void)state;
	for (round = 0; round < 40; round++) {
		for (i = 0; i < size; i++)
			text[i] = round % 2 ? bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)]
					    : tcp6_table[i % (sizeof(tcp6_table) - 1)];
		for (i = 0; i < size; i += 1 + (size_t)rand_r(&seed) % 200)
			text[i] = (char)rand_r(&seed);
		if (round == 7)
			memset(text, 'x', size); /* one endless line */
		for (i = 0; i < 5; i++)
			write_table(names[i], text, size);
		assert_int_equal(sockets_create(base, &s), 0);
		for (i = 0; i < 30; i++) {
			struct socket_name name;

			sockets_find(s, "", i, &name);
			assert_non_null(memchr(name.local, '\0', sizeof(name.local)));
			assert_non_null(memchr(name.remote, '\0', sizeof(name.remote)));
		}
		sockets_free(s);
	}
	free(text);
}

static void test_addresses(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(5432) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/x" };
	char buf[128];

	(void)state;
	in.sin_addr.s_addr = htonl(0x0a000001);
	assert_true(sockets_format_address(&in, sizeof(in), buf, sizeof(buf)));
	assert_string_equal(buf, "10.0.0.1:5432");
	assert_false(sockets_format_address(&in, sizeof(in) - 1, buf, sizeof(buf)));
	assert_false(sockets_format_address(&in, 0, buf, sizeof(buf)));
	in6.sin6_addr = in6addr_loopback;
	assert_true(sockets_format_address(&in6, sizeof(in6), buf, sizeof(buf)));
	assert_string_equal(buf, "[::1]:80");
	assert_true(sockets_format_address(&un, sizeof(un), buf, sizeof(buf)));
	assert_string_equal(buf, "/run/x");
	memset(un.sun_path, 'y', sizeof(un.sun_path)); /* no room for a terminator: allowed */
	assert_true(sockets_format_address(&un, sizeof(un), buf, sizeof(buf)));
	assert_int_equal(strlen(buf), sizeof(un.sun_path));
	un.sun_path[0] = '\0';
	assert_true(sockets_format_address(&un, 5, buf, sizeof(buf)));
	assert_string_equal(buf, "@yy");
	assert_false(sockets_format_address(&un, 2, buf, sizeof(buf)));
}

static void test_line(void **state)
{
	struct line l;
	char buf[16];

	(void)state;
	line_begin(&l, buf, sizeof(buf));
	assert_string_equal(buf, "");
	line_add(&l, "%d\n%s", 12, "\x7f\xff");
	assert_string_equal(buf, "12???");
	assert_int_equal(line_room(&l), 10);
	line_add(&l, "0123456789");
	assert_string_equal(buf, "12???0123456789");
	assert_int_equal(line_room(&l), 0);
	line_add(&l, "%s", "");
	assert_string_equal(buf, "12???0123456789");
	line_add(&l, "x");
	assert_string_equal(buf, "12???0123456...");
	line_add(&l, "y");
	assert_string_equal(buf, "12???0123456...");
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(base) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "tcp", "tcp6", "unix", "netlink", "packet" };
	char path[64];
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		remove_table(names[i]);
	snprintf(path, sizeof(path), "%s/net", base);
	rmdir(path);
	return rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),	      cmocka_unit_test(test_odd_paths),
		cmocka_unit_test(test_watched),	      cmocka_unit_test(test_watched_many),
		cmocka_unit_test(test_timer),	      cmocka_unit_test(test_ended_main_thread),
		cmocka_unit_test(test_gone_process),  cmocka_unit_test(test_time_namespace),
		cmocka_unit_test(test_socket_tables), cmocka_unit_test(test_damaged_tables),
		cmocka_unit_test(test_addresses),     cmocka_unit_test(test_line),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
