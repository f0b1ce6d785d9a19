/* SPDX-License-Identifier: MIT
 *
 * sock_diag(7) for one unix socket at a time. The kernel answers within the request's own send,
 * so the answer is there at once or never.
 */
#include "target/unix_peer.h"

#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct unix_peer_request {
	struct nlmsghdr head;
	struct unix_diag_req body;
};

/* The kernel's answer: attributes follow the body. */
struct unix_peer_answer {
	struct nlmsghdr head;
	struct unix_diag_msg body;
	char attributes[1024];
};

static bool unix_peer_same_namespace(const char *base)
{
	char path[96];
	char ours[64], theirs[64];
	ssize_t n, m;

	snprintf(path, sizeof(path), "%s/ns/net", base);
	n = readlink("/proc/thread-self/ns/net", ours, sizeof(ours));
	m = readlink(path, theirs, sizeof(theirs));
	return n > 0 && n == m && !memcmp(ours, theirs, (size_t)n);
}

int unix_peer_open(const char *base)
{
	if (!unix_peer_same_namespace(base))
		return -1;
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
}

static uint64_t unix_peer_parse(const struct unix_peer_answer *a, size_t bytes)
{
	size_t at = sizeof(a->head) + sizeof(a->body);
	struct rtattr attribute;
	uint32_t peer;

	if (bytes < at || a->head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	while (bytes - at >= sizeof(attribute)) {
		const char *p = (const char *)a + at;

		memcpy(&attribute, p, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > bytes - at)
			return 0;
		if (attribute.rta_type == UNIX_DIAG_PEER &&
		    RTA_PAYLOAD(&attribute) >= sizeof(peer)) {
			memcpy(&peer, p + sizeof(attribute), sizeof(peer));
			return peer;
		}
		if (RTA_ALIGN(attribute.rta_len) > bytes - at)
			return 0;
		at += RTA_ALIGN(attribute.rta_len);
	}
	return 0;
}

uint64_t unix_peer_find(int fd, uint64_t inode)
{
	struct unix_peer_request ask = {
		.head = { .nlmsg_len = sizeof(ask),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST },
		.body = { .sdiag_family = AF_UNIX,
			  .udiag_states = UINT_MAX,
			  .udiag_ino = (uint32_t)inode,
			  .udiag_show = UDIAG_SHOW_PEER,
			  .udiag_cookie = { UINT_MAX, UINT_MAX } },
	};
	struct unix_peer_answer answer = { 0 };
	ssize_t got;

	if (inode > UINT32_MAX)
		return 0;
	if (send(fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(ask))
		return 0;
	got = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
	return got > 0 ? unix_peer_parse(&answer, (size_t)got) : 0;
}
