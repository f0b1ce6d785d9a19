/* SPDX-License-Identifier: MIT
 *
 * expect: stuck futex-wait all-asleep 4
 * expect: stuck cond-wait all-asleep 1
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * frame: on_latch
 * frame: on_semaphore
 * frame: on_atomic
 * frame: on_future
 * frame: on_condition
 * variants: -O0 -O2
 *
 * What it is: everybody asleep on what C++20 has: a std::latch short by one, a semaphore, an
 * atomic's wait, the future of a promise that is kept but never fulfilled, a condition variable.
 */
#include "prog.h"
#include <atomic>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <thread>

static std::latch setup_done(2);
static std::counting_semaphore<8> tickets(0);
static std::atomic<int> generation(0);
static std::promise<int> answer;
static std::mutex lock;
static std::condition_variable changed;

static __attribute__((noipa)) void on_latch()
{
	setup_done.arrive_and_wait();
	prog_say("");
}

static __attribute__((noipa)) void on_semaphore()
{
	tickets.acquire();
	prog_say("");
}

static __attribute__((noipa)) void on_atomic()
{
	generation.wait(0);
	prog_say("");
}

static __attribute__((noipa)) void on_future(std::future<int> &result)
{
	result.wait();
	prog_say("");
}

static __attribute__((noipa)) void on_condition()
{
	std::unique_lock<std::mutex> held(lock);
	for (;;)
		changed.wait(held);
}

int main()
{
	std::future<int> result = answer.get_future();
	std::thread a(on_latch), b(on_semaphore), c(on_atomic), e(on_condition);
	std::thread d(on_future, std::ref(result));

	prog_ready();
	a.join();
}
