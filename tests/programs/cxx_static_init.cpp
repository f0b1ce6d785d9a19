/* SPDX-License-Identifier: MIT
 *
 * expect: stuck futex-wait all-asleep 1
 * expect: stuck mutex-lock owner-stuck 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: registry_lock
 * frame: make_config
 * variants: -O0 -O2
 *
 * What it is: one thread initialises a function's static variable and needs a mutex for it; the
 * holder of the mutex waits for that initialisation (a futex in the C++ runtime, whose runner
 * nobody records). Main joins, so nobody is live.
 */
#include "prog.h"
#include <mutex>
#include <thread>

static std::mutex registry_lock;
static pthread_barrier_t initialising, locked;

static __attribute__((noipa)) int make_config()
{
	pthread_barrier_wait(&initialising);
	pthread_barrier_wait(&locked);
	std::lock_guard<std::mutex> registry(registry_lock);
	return 1;
}

static int config()
{
	static int value = make_config();
	return value;
}

static void use_config()
{
	config();
}

static void register_and_use()
{
	pthread_barrier_wait(&initialising);
	std::lock_guard<std::mutex> registry(registry_lock);
	pthread_barrier_wait(&locked);
	config();
}

int main()
{
	pthread_barrier_init(&initialising, nullptr, 2);
	pthread_barrier_init(&locked, nullptr, 2);
	std::thread a(use_config), b(register_and_use);

	prog_ready();
	a.join();
	b.join();
}
