/* SPDX-License-Identifier: MIT
 *
 * A malloc that is built on a mutex, a condition and a semaphore, as allocators of embedded systems
 * are: whatever an interposer allocates would come back here.
 */
#include "prog.h"
#include <semaphore.h>
#include <stdint.h>

enum { POOL_BYTES = 64 << 20, ROUNDS = 2000, THREADS = 4 };

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static char pool[POOL_BYTES] __attribute__((aligned(16)));
static size_t used;
static __thread int inside;
static int nested;

void *malloc(size_t size)
{
	size_t *block;

	if (inside++)
		nested++;
	pthread_mutex_lock(&pool_lock);
	size = (size + 31) & ~(size_t)15;
	PROG_CHECK(used + size <= sizeof(pool));
	block = (size_t *)(pool + used);
	used += size;
	pthread_mutex_unlock(&pool_lock);
	inside--;
	block[0] = size - 16;
	return block + 2;
}

void free(void *block)
{
	(void)block;
	pthread_mutex_lock(&pool_lock);
	pthread_mutex_unlock(&pool_lock);
}

void *calloc(size_t n, size_t size)
{
	return malloc(n * size); /* the pool is zeroed, and used once */
}

void *realloc(void *block, size_t size)
{
	size_t old = block ? ((size_t *)block)[-2] : 0;
	void *fresh = malloc(size);

	if (block)
		memcpy(fresh, block, old < size ? old : size);
	return fresh;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return (void *)(((uintptr_t)malloc(size + alignment) + alignment - 1) & ~(alignment - 1));
}

void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	*out = aligned_alloc(alignment, size);
	return 0;
}

static void *allocate(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		char *volatile text = malloc(100);

		memset(text, i, 100);
		free(text);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		threads[i] = prog_thread(allocate, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	prog_end(nested == 0);
}
