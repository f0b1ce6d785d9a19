/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck rwlock-wrlock cycle 2
 * expect: stuck rwlock-rdlock owner-stuck 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: names values left right
 * variants: -O0 -O2
 *
 * What it is: a cycle of std::shared_mutex taken for writing with a reader behind it, and one of
 * std::recursive_mutex taken by std::scoped_lock.
 */
#include "prog.h"
#include <mutex>
#include <shared_mutex>
#include <thread>

static std::shared_mutex names, values;
static std::recursive_mutex left, right;
static pthread_barrier_t all_hold;

static void write_both(std::shared_mutex &first, std::shared_mutex &second)
{
	std::unique_lock one(first);
	pthread_barrier_wait(&all_hold);
	std::unique_lock two(second);
}

static void lock_both(std::recursive_mutex &first, std::recursive_mutex &second)
{
	std::scoped_lock one(first);
	pthread_barrier_wait(&all_hold);
	std::scoped_lock two(second);
}

static void read_names()
{
	pthread_barrier_wait(&all_hold);
	std::shared_lock one(names);
}

int main()
{
	pthread_barrier_init(&all_hold, nullptr, 5);
	std::thread a(write_both, std::ref(names), std::ref(values));
	std::thread b(write_both, std::ref(values), std::ref(names));
	std::thread c(lock_both, std::ref(left), std::ref(right));
	std::thread d(lock_both, std::ref(right), std::ref(left));
	std::thread e(read_names);

	prog_ready();
	e.join();
}
