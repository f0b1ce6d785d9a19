/* SPDX-License-Identifier: MIT
 *
 * Unread bytes of a child's pipes and sockets: seen, and still there afterwards; or said to be
 * unread.
 */
#include "scene.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "unit.h"

/* -- pipes ------------------------------------------------------------------------------------ */

enum { SMALL_WRITES = 40, LARGE_BYTES = 60000 };

static void put_pipes(int *told)
{
	static uint8_t large[LARGE_BYTES];
	uint64_t word = WORD(500);
	int small[2], big[2], idle[2];

	CHECK(!pipe(small) && !pipe(big) && !pipe2(idle, O_DIRECT));
	for (int i = 0; i < SMALL_WRITES; i++) {
		word = WORD(i);
		CHECK(write(small[1], &word, sizeof(word)) == sizeof(word));
	}
	word = WORD(500);
	memcpy(large + LARGE_BYTES - 11, &word, sizeof(word));
	CHECK(write(big[1], large, LARGE_BYTES) == LARGE_BYTES);
	for (int i = 0; i < 10; i++) { /* a slot for each */
		word = WORD(600 + i);
		CHECK(write(idle[1], &word, sizeof(word)) == sizeof(word));
	}
	told[0] = small[0];
	told[1] = big[0];
	told[2] = dup(small[0]); /* counted once */
	told[3] = idle[0];
}

static void take_pipes(int *told)
{
	static uint8_t large[LARGE_BYTES + 1];
	uint64_t words[SMALL_WRITES];
	int bytes;

	CHECK(!ioctl(told[0], FIONREAD, &bytes) && bytes == (int)sizeof(words));
	CHECK(read(told[0], words, sizeof(words)) == sizeof(words));
	for (int i = 0; i < SMALL_WRITES; i++)
		CHECK(words[i] == WORD(i));
	CHECK(read(told[1], large, sizeof(large)) == LARGE_BYTES);
	CHECK(!(fcntl(told[0], F_GETFL) & O_NONBLOCK));
	for (int i = 0; i < 10; i++)
		CHECK(read(told[3], words, sizeof(words)) == 8 && words[0] == WORD(600 + i));
}

static void test_pipes(void **state)
{
	const struct scene scene = { put_pipes, take_pipes };
	struct looked l;

	(void)state;
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	for (int i = 0; i < SMALL_WRITES; i++) {
		assert_int_equal(scene_count(&l, WORD(i), "unread bytes of pipe", l.told[0]), 1);
		assert_int_equal(scene_count(&l, WORD(i), NULL, 0), 1);
	}
	assert_int_equal(scene_count(&l, WORD(500), "unread bytes of pipe", l.told[1]), 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(scene_count(&l, WORD(600 + i), "unread bytes of pipe", l.told[3]),
				 1);
	scene_finish(&l);
}

static char fifo[] = "/tmp/strand-held-XXXXXX";

static int foreign[2]; /* the test keeps the end to be read from */

static void put_fifo(int *told)
{
	uint64_t word = WORD(1);

	CHECK(!mkfifo(fifo, 0600));
	told[0] = open(fifo, O_RDWR);
	CHECK(told[0] >= 0 && write(told[0], &word, sizeof(word)) == sizeof(word));
	/* What others are to read does not come back. */
	word = WORD(2);
	CHECK(write(foreign[1], &word, sizeof(word)) == sizeof(word));
	close(foreign[0]);
}

static void test_fifo(void **state)
{
	const struct scene scene = { put_fifo, NULL };
	struct looked l;

	(void)state;
	assert_int_equal(pipe(foreign), 0);
	scene_look(&scene, &l);
	close(foreign[0]);
	close(foreign[1]);
	unlink(fifo);
	scene_check_unread(&l, NULL);
	assert_int_equal(scene_count(&l, WORD(1), "unread bytes of pipe", l.told[0]), 1);
	assert_int_equal(scene_count(&l, WORD(2), NULL, 0), 0);
	scene_finish(&l);
}

/* -- sockets ---------------------------------------------------------------------------------- */

static void put_stream(int *told)
{
	uint64_t word = WORD(3);
	int fds[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(write(fds[1], &word, sizeof(word)) == sizeof(word));
	told[0] = fds[0];
	/* Two messages' worth of queue with one message in it, and an empty pair. */
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
	word = WORD(4);
	CHECK(write(fds[1], &word, sizeof(word)) == sizeof(word));
	told[1] = fds[0];
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
}

static void take_stream(int *told)
{
	uint8_t bytes[32];
	uint64_t word = WORD(3);

	CHECK(read(told[0], bytes, sizeof(bytes)) == 9 && !memcmp(bytes + 1, &word, sizeof(word)));
	CHECK(read(told[1], bytes, sizeof(bytes)) == 8);
}

static void test_sockets(void **state)
{
	const struct scene scene = { put_stream, take_stream };
	struct looked l;

	(void)state;
	scene_look(&scene, &l);
	scene_check_unread(&l, NULL);
	assert_int_equal(scene_count(&l, WORD(3), "unread bytes of socket", l.told[0]), 1);
	assert_int_equal(scene_count(&l, WORD(4), "message at socket", l.told[1]), 1);
	scene_finish(&l);
}

static void put_messages_of(int type, int *told)
{
	uint64_t word = WORD(5);
	int fds[2];

	CHECK(!socketpair(AF_UNIX, type, 0, fds));
	for (int i = 0; i < 2; i++)
		CHECK(write(fds[1], &word, sizeof(word)) == sizeof(word));
	told[0] = fds[0];
}

static void take_messages(int *told)
{
	uint64_t word;

	for (int i = 0; i < 2; i++)
		CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) == 8);
	CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) < 0);
}

static void put_seqpacket(int *told)
{
	put_messages_of(SOCK_SEQPACKET, told);
}

static void put_datagrams(int *told)
{
	put_messages_of(SOCK_DGRAM, told);
}

/* The first message is empty: nothing is counted. */
static void put_empty_message(int *told)
{
	uint64_t word = WORD(6);
	int fds[2];

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	CHECK(send(fds[1], &word, 0, 0) == 0);
	CHECK(send(fds[1], &word, sizeof(word), 0) == sizeof(word));
	told[0] = fds[0];
}

static void take_empty_message(int *told)
{
	uint64_t word;

	CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) == 0);
	CHECK(recv(told[0], &word, sizeof(word), MSG_DONTWAIT) == 8);
}

static void put_udp(int *told)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t bytes = sizeof(in);
	uint64_t word = WORD(7);

	told[0] = socket(AF_INET, SOCK_DGRAM, 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(told[0], (void *)&in, sizeof(in)));
	CHECK(!getsockname(told[0], (void *)&in, &bytes));
	for (int i = 0; i < 2; i++)
		CHECK(sendto(told[0], &word, sizeof(word), 0, (void *)&in, sizeof(in)) == 8);
}

/* A descriptor on its way: what it is cannot be seen. */
static void put_descriptor(int *told)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { 0 };
	struct iovec iov = { told, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fds[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), &fds[0], sizeof(int));
	CHECK(sendmsg(fds[1], &message, 0) == 1);
	told[0] = fds[0];
}

/* The offset of peeking is the program's. */
static void put_peek_offset(int *told)
{
	int zero = 0;

	put_stream(told);
	CHECK(!setsockopt(told[0], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)));
}

static void take_peek_offset(int *told)
{
	socklen_t bytes = sizeof(int);
	int offset = -1;

	CHECK(!getsockopt(told[0], SOL_SOCKET, SO_PEEK_OFF, &offset, &bytes) && offset == 0);
	take_stream(told);
}

static void test_unread_sockets(void **state)
{
	static const struct {
		struct scene scene;
		const char *unread;
	} cases[] = {
		{ { put_seqpacket, take_messages }, "messages that wait at socket" },
		{ { put_datagrams, take_messages }, "messages that wait at socket" },
		{ { put_empty_message, take_empty_message }, "what waits at socket" },
		{ { put_udp, take_messages }, "messages that wait at socket" },
		{ { put_descriptor, NULL }, "descriptors on their way" },
		{ { put_peek_offset, take_peek_offset }, "unread bytes of socket" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct looked l;

		scene_look(&cases[i].scene, &l);
		scene_check_unread(&l, cases[i].unread);
		scene_finish(&l);
	}
}

/* -- TCP -------------------------------------------------------------------------------------- */

static int listen_somewhere(struct sockaddr_in *in)
{
	socklen_t bytes = sizeof(*in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*in = (struct sockaddr_in){ .sin_family = AF_INET };
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(fd, (void *)in, sizeof(*in)) && !listen(fd, 5));
	CHECK(!getsockname(fd, (void *)in, &bytes));
	return fd;
}

static void put_tcp_unaccepted(int *told)
{
	struct sockaddr_in in;
	uint64_t word = WORD(8);

	told[0] = listen_somewhere(&in);
	told[1] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(told[1], (void *)&in, sizeof(in)));
	CHECK(write(told[1], &word, sizeof(word)) == sizeof(word));
}

static void put_tcp(int *told)
{
	int unsent = 1;

	put_tcp_unaccepted(told);
	told[2] = accept(told[0], NULL, NULL);
	CHECK(told[2] >= 0);
	for (int i = 0; i < 1000 && unsent; i++) { /* until it is acknowledged */
		CHECK(!ioctl(told[1], TIOCOUTQ, &unsent));
		usleep(1000);
	}
}

static void take_tcp(int *told)
{
	uint64_t word;

	CHECK(read(told[2], &word, sizeof(word)) == sizeof(word) && word == WORD(8));
}

/* More than the other end takes. */
static void put_tcp_unsent(int *told)
{
	static char bytes[1 << 16];

	put_tcp(told);
	fcntl(told[1], F_SETFL, O_NONBLOCK);
	while (write(told[1], bytes, sizeof(bytes)) > 0)
		;
}

static void put_unix_unaccepted(int *told)
{
	struct sockaddr address = { .sa_family = AF_UNIX };
	struct sockaddr_storage name;
	socklen_t bytes = sizeof(name);

	told[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(told[0], &address, sizeof(sa_family_t)) && !listen(told[0], 5));
	CHECK(!getsockname(told[0], (void *)&name, &bytes));
	told[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!connect(told[1], (void *)&name, bytes));
}

static void test_tcp(void **state)
{
	static const struct scene whole = { put_tcp, take_tcp };
	static const struct scene unaccepted = { put_tcp_unaccepted, NULL };
	static const struct scene unsent = { put_tcp_unsent, NULL };
	static const struct scene unix_unaccepted = { put_unix_unaccepted, NULL };
	struct looked l;

	(void)state;
	scene_look(&whole, &l);
	scene_check_unread(&l, NULL);
	assert_int_equal(scene_count(&l, WORD(8), "unread bytes of socket", l.told[2]), 1);
	scene_finish(&l);
	scene_look(&unaccepted, &l);
	scene_check_unread(&l, "between own sockets");
	scene_finish(&l);
	scene_look(&unsent, &l);
	scene_check_unread(&l, "between own sockets");
	scene_finish(&l);
	scene_look(&unix_unaccepted, &l);
	scene_check_unread(&l, "connections that wait");
	scene_finish(&l);
}

static int name_fifo(void **state)
{
	int fd = mkstemp(fifo);

	(void)state;
	if (fd >= 0)
		close(fd);
	return fd < 0 || unlink(fifo) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipes),	cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_sockets), cmocka_unit_test(test_unread_sockets),
		cmocka_unit_test(test_tcp),
	};

	return cmocka_run_group_tests(tests, name_fifo, NULL);
}
