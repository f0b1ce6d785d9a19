/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: pointer | queue | both
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: a second C library in a namespace of its own, with a heap of its own: there lies the only
 * pointer to what a worker waits for, or that itself, or both.
 */
#include "k_adv.h"
#include <dlfcn.h>
#include <gnu/lib-names.h>

static struct queue **pointer;

static void *(*other_malloc)(size_t);
static void (*other_free)(void *);

/* Some are used, some free, some in the cache of the thread. */
static void *other_new(size_t bytes)
{
	void *v[64], *p;

	for (int i = 0; i < 64; i++)
		v[i] = other_malloc(16 + 40 * (size_t)i);
	p = other_malloc(bytes);
	for (int i = 0; i < 64; i += 1 + i % 3)
		other_free(v[i]);
	memset(v, 0, sizeof(v));
	__asm__ volatile("" : : "r"(v) : "memory");
	return p;
}

static __attribute__((noinline)) pthread_t start(const char *how)
{
	void *other = dlmopen(LM_ID_NEWLM, LIBC_SO, RTLD_NOW);
	struct queue *q;
	pthread_t worker;

	if (!other)
		exit(77);
	other_malloc = (void *(*)(size_t))dlsym(other, "malloc");
	other_free = (void (*)(void *))dlsym(other, "free");
	PROG_CHECK(other_malloc && other_free);
	pointer = strcmp(how, "queue") ? other_new(sizeof(*pointer)) : malloc(sizeof(*pointer));
	q = strcmp(how, "pointer") ? queue_init(other_new(sizeof(*q))) : queue_new();
	*pointer = q;
	worker = prog_thread(queue_work, q);
	return worker;
}

int main(int argc, char **argv)
{
	pthread_t worker = start(argc > 1 ? argv[1] : "both");

	scrub();
	prog_ready();
	wait_for_stop();
	queue_put(*pointer);
	pthread_join(worker, NULL);
	prog_end(true);
}
