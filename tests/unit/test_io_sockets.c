/* SPDX-License-Identifier: MIT
 *
 * Waits on sockets of each family: addresses, states, and timeouts of the socket itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "target/unix_peer.h"

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_nl nl;
};

/* What children read their arguments from: at the same address in parent and child. */
static struct {
	int fd;
	int other_fd;
	union address address;
	socklen_t address_bytes;
} arg;

static char directory[] = "/tmp/strand-io-XXXXXX";

/* Sockets. */

static void block_in_accept(void)
{
	accept(arg.fd, NULL, NULL);
}

static void block_in_recv(void)
{
	char c;

	recv(arg.fd, &c, 1, 0);
}

static void block_in_read(void)
{
	char c;

	(void)!read(arg.fd, &c, 1);
}

static void block_in_recvfrom(void)
{
	union address from;
	socklen_t bytes = sizeof(from);
	char c;

	recvfrom(arg.fd, &c, 1, 0, &from.any, &bytes);
}

static void block_in_send(void)
{
	static char page[4096];

	for (;;)
		send(arg.fd, page, sizeof(page), 0);
}

static void block_in_connect(void)
{
	connect(arg.fd, &arg.address.any, arg.address_bytes);
}

static int port_of(int fd)
{
	union address a;
	socklen_t bytes = sizeof(a);

	assert_int_equal(getsockname(fd, &a.any, &bytes), 0);
	return ntohs(a.in.sin_port); /* the same place for IPv6 */
}

/* A socket bound to `text`, any port; -1 if this machine has no such address. */
static int bound_socket(int family, int type, const char *text)
{
	union address a = { .any.sa_family = (sa_family_t)family };
	bool is_four = family == AF_INET;
	int fd = socket(family, type, 0);
	int rc;

	if (fd < 0)
		return -1;
	inet_pton(family, text, is_four ? (void *)&a.in.sin_addr : (void *)&a.in6.sin6_addr);
	rc = bind(fd, &a.any, is_four ? sizeof(a.in) : sizeof(a.in6));
	if (rc == 0)
		return fd;
	close(fd);
	return -1;
}

/* Connect a new socket to a port of this machine. */
static int connected_socket(int port)
{
	union address to = { .in.sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.in.sin_port = htons((uint16_t)port);
	to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, &to.any, sizeof(to.in)), 0);
	return fd;
}

static void test_tcp(void **state)
{
	int listener = bound_socket(AF_INET, SOCK_STREAM, "127.0.0.1");
	int near, far;
	struct timeval timeout = { 900, 0 };
	struct io_wait w;

	(void)state;
	assert_int_equal(listen(listener, 4), 0);
	arg.fd = listener;
	child_describe(block_in_accept, SYS_accept, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "accept(%d) tcp 127.0.0.1:%d listening", listener,
		   port_of(listener));
	wait_check_no_deadline(&w);
	near = connected_socket(port_of(listener));
	far = accept(listener, NULL, NULL);
	arg.fd = near;
	assert_int_equal(setsockopt(near, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	child_describe(block_in_recv, SYS_recvfrom, &w);
	wait_check_deadline(&w, 0, 0);
	arg.fd = far;
	child_describe(block_in_recv, SYS_recvfrom, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "recv(%d) tcp 127.0.0.1:%d -> 127.0.0.1:%d established",
		   far, port_of(listener), port_of(near));
	wait_check_no_deadline(&w);
	child_describe(block_in_send, SYS_sendto, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "send(%d) tcp 127.0.0.1:%d -> 127.0.0.1:%d established",
		   far, port_of(listener), port_of(near));
	shutdown(near, SHUT_WR);
	arg.fd = far;
	child_describe(block_in_send, SYS_sendto, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "send(%d) tcp 127.0.0.1:%d -> 127.0.0.1:%d close-wait",
		   far, port_of(listener), port_of(near));
	close(near);
	close(far);
	close(listener);
}

static void test_tcp6(void **state)
{
	int listener = bound_socket(AF_INET6, SOCK_STREAM, "::");
	int near, far;
	struct io_wait w;

	(void)state;
	if (listener < 0)
		skip();
	assert_int_equal(listen(listener, 4), 0);
	arg.fd = listener;
	child_describe(block_in_accept, SYS_accept, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "accept(%d) tcp [::]:%d listening", listener,
		   port_of(listener));
	near = connected_socket(port_of(listener));
	far = accept(listener, NULL, NULL);
	arg.fd = far;
	child_describe(block_in_read, SYS_read, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "read(%d) tcp 127.0.0.1:%d -> 127.0.0.1:%d established",
		   far, port_of(listener), port_of(near));
	close(near);
	close(far);
	close(listener);
}

static void test_udp(void **state)
{
	int fd = bound_socket(AF_INET, SOCK_DGRAM, "127.0.0.1");
	struct timeval timeout = { 900, 0 };
	struct io_wait w;

	(void)state;
	arg.fd = fd;
	child_describe(block_in_recvfrom, SYS_recvfrom, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "recvfrom(%d) udp 127.0.0.1:%d", fd, port_of(fd));
	wait_check_no_deadline(&w);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	child_describe(block_in_recvfrom, SYS_recvfrom, &w);
	wait_check_deadline(&w, 0, 0);
	close(fd);
	fd = bound_socket(AF_INET6, SOCK_DGRAM, "::1");
	if (fd < 0)
		return;
	arg.fd = fd;
	child_describe(block_in_recv, SYS_recvfrom, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "recv(%d) udp [::1]:%d", fd, port_of(fd));
	close(fd);
}

static void test_netlink(void **state)
{
	struct io_wait w;

	(void)state;
	arg.fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	arg.address.nl = (struct sockaddr_nl){ .nl_family = AF_NETLINK };
	child_describe(block_in_recv, SYS_recvfrom, &w); /* in no table before it is bound */
	wait_check(&w, OP_IO, OBJECT_OTHER, "recv(%d) netlink %s", arg.fd, link_of(arg.fd));
	assert_int_equal(bind(arg.fd, &arg.address.any, sizeof(arg.address.nl)), 0);
	child_describe(block_in_recv, SYS_recvfrom, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "recv(%d) netlink route", arg.fd);
	close(arg.fd);
}

/* arg.fd is connected to `peer`; a kernel without sock_diag does not tell. */
static void wait_check_unix_peer(const struct io_wait *w, const char *call, const char *peer)
{
	char to[128];
	int fd = unix_peer_open("/proc/self");
	struct stat st;

	snprintf(to, sizeof(to), "%s", peer);
	assert_int_equal(fstat(arg.fd, &st), 0);
	if (fd < 0 || !unix_peer_find(fd, st.st_ino))
		wait_check(w, OP_IO, OBJECT_OTHER, "%s(%d) unix %s", call, arg.fd, link_of(arg.fd));
	else if (to[0] == '/')
		wait_check(w, OP_IO, OBJECT_OTHER, "%s(%d) unix -> %s", call, arg.fd, to);
	else
		wait_check(w, OP_IO, OBJECT_OTHER, "%s(%d) unix %s -> %s", call, arg.fd,
			   link_of(arg.fd), to);
	close(fd);
}

static void set_unix_address(const char *path, bool abstract)
{
	struct sockaddr_un *un = &arg.address.un;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path + abstract, path, strlen(path));
	arg.address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract +
					strlen(path) + !abstract);
}

static void test_unix(void **state)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	struct timeval timeout = { 900, 0 };
	char path[64];
	struct io_wait w;
	int accepted;
	int pair[2];

	(void)state;
	snprintf(path, sizeof(path), "%s/so ck", directory);
	set_unix_address(path, false);
	assert_int_equal(bind(listener, &arg.address.any, arg.address_bytes), 0);
	assert_int_equal(listen(listener, 0), 0);
	arg.fd = listener;
	child_describe(block_in_accept, SYS_accept, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "accept(%d) unix %s", listener, path);
	arg.other_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(arg.other_fd, &arg.address.any, arg.address_bytes), 0);
	arg.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	child_describe(block_in_connect, SYS_connect, &w); /* the queue of the listener is full */
	wait_check(&w, OP_IO, OBJECT_OTHER, "connect(%d) unix -> %s", arg.fd, path);
	close(arg.fd);
	arg.fd = accept(listener, NULL, NULL);
	child_describe(block_in_recv, SYS_recvfrom, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "recv(%d) unix %s", arg.fd, path);
	accepted = arg.fd;
	arg.fd = arg.other_fd;
	child_describe(block_in_recv, SYS_recvfrom, &w);
	wait_check_unix_peer(&w, "recv", path);
	arg.fd = accepted;
	close(arg.fd);
	close(arg.other_fd);
	close(listener);
	unlink(path);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	arg.fd = pair[0];
	child_describe(block_in_recv, SYS_recvfrom, &w);
	wait_check_unix_peer(&w, "recv", link_of(pair[1]));
	wait_check_no_deadline(&w);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)),
			 0);
	child_describe(block_in_send, SYS_sendto, &w);
	wait_check_unix_peer(&w, "send", link_of(pair[1]));
	wait_check_deadline(&w, 0, 0);
	close(pair[0]);
	close(pair[1]);
}

static void test_abstract_unix(void **state)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	char name[64];
	struct io_wait w;

	(void)state;
	snprintf(name, sizeof(name), "strand-test-%d", (int)getpid());
	set_unix_address(name, true);
	assert_int_equal(bind(listener, &arg.address.any, arg.address_bytes), 0);
	assert_int_equal(listen(listener, 0), 0);
	arg.fd = listener;
	child_describe(block_in_accept, SYS_accept, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "accept(%d) unix @%s", listener, name);
	arg.other_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(arg.other_fd, &arg.address.any, arg.address_bytes), 0);
	arg.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	child_describe(block_in_connect, SYS_connect, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "connect(%d) unix -> @%s", arg.fd, name);
	close(arg.fd);
	close(arg.other_fd);
	close(listener);
}

/* A listener whose queue is full lets the next connect wait. */
static void test_connecting_tcp(void **state)
{
	struct sockaddr_in *to = &arg.address.in;
	int listener = bound_socket(AF_INET, SOCK_STREAM, "127.0.0.1");
	int filler[2];
	struct io_wait w;

	(void)state;
	assert_int_equal(listen(listener, 0), 0);
	filler[0] = connected_socket(port_of(listener));
	filler[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	memset(&arg.address, 0, sizeof(arg.address));
	to->sin_family = AF_INET;
	to->sin_port = htons((uint16_t)port_of(listener));
	to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	arg.address_bytes = sizeof(*to);
	connect(filler[1], &arg.address.any, sizeof(*to));
	arg.fd = socket(AF_INET, SOCK_STREAM, 0);
	child_describe(block_in_connect, SYS_connect, &w);
	wait_check(&w, OP_IO, OBJECT_OTHER, "connect(%d) tcp -> 127.0.0.1:%d", arg.fd,
		   port_of(listener));
	close(arg.fd);
	close(filler[0]);
	close(filler[1]);
	close(listener);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp6),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_netlink),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_abstract_unix),
		cmocka_unit_test(test_connecting_tcp),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
