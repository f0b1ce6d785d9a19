/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * first20: recv orders_lock fetch_stock
 * variants: -O0 -O2
 *
 * What it is: hung, but not provable: a thread asks a server over TCP while it holds a lock, the
 * server never answers, and the workers wait for the lock. The answer may come, so nothing is
 * stuck; the report has to lead to the recv and to the lock that its caller holds.
 */
#include "prog.h"
#include <netinet/in.h>
#include <sys/socket.h>

static pthread_mutex_t orders_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t locked;
static int server;

static void connect_to_silence(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t length = sizeof(here);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	PROG_CHECK(bind(listener, (struct sockaddr *)&here, length) == 0);
	PROG_CHECK(listen(listener, 1) == 0);
	PROG_CHECK(getsockname(listener, (struct sockaddr *)&here, &length) == 0);
	server = socket(AF_INET, SOCK_STREAM, 0);
	PROG_CHECK(connect(server, (struct sockaddr *)&here, length) == 0);
}

static __attribute__((noipa)) ssize_t fetch_stock(void)
{
	char answer[64];
	ssize_t length = recv(server, answer, sizeof(answer), 0);

	return length > 0 ? answer[0] : -1;
}

static void *refresh(void *arg)
{
	pthread_mutex_lock(&orders_lock);
	pthread_barrier_wait(&locked);
	fetch_stock();
	pthread_mutex_unlock(&orders_lock);
	return arg;
}

static void *take_order(void *arg)
{
	pthread_mutex_lock(&orders_lock);
	pthread_mutex_unlock(&orders_lock);
	return arg;
}

int main(void)
{
	pthread_t last;

	connect_to_silence();
	pthread_barrier_init(&locked, NULL, 2);
	prog_thread(refresh, NULL);
	pthread_barrier_wait(&locked);
	for (int i = 0; i < 5; i++)
		last = prog_thread(take_order, NULL);
	prog_ready();
	pthread_join(last, NULL);
	return 0;
}
