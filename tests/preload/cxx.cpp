// SPDX-License-Identifier: MIT
//
// A program of C++'s threads: they go through pthread_*, wait_for() by the clock form, what came with
// C++20 by syscall(). An exception passes a wrapper's frame when a handler throws out of a wait.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <latch>
#include <mutex>
#include <semaphore.h>
#include <shared_mutex>
#include <thread>
#include <unistd.h>

#define _Static_assert static_assert
extern "C" {
#include "trace.h"
}

using namespace std::chrono_literals;

static std::mutex mutex;
static std::condition_variable cond;
static std::shared_mutex shared;
static bool ready;

static void worker()
{
	std::lock_guard lock(mutex);
	ready = true;
	cond.notify_one();
}

static void check_cond()
{
	std::unique_lock lock(mutex);
	std::thread thread(worker);

	cond.wait(lock, [] { return ready; });
	CHECK_TRACE(trace()->last.op == WIRE_OP_COND_WAIT && trace()->begun);
	CHECK_RECORDED(COND_WAIT, cond.native_handle(),
		       CHECK(cond.wait_for(lock, 5ms) == std::cv_status::timeout));
	CHECK_TRACE(trace()->last.deadline_ns && (trace()->last.flags & WIRE_WAIT_DEADLINE));
	thread.join();
	CHECK_TRACE(trace()->last.op == WIRE_OP_JOIN && trace()->joins == 1);
}

static void check_mutex()
{
	mutex.lock();
	std::atomic<pid_t> tid = 0;
	std::thread other([&] {
		tid = gettid();
		CHECK_RECORDED(MUTEX_LOCK, mutex.native_handle(), mutex.lock());
		mutex.unlock();
	});
	while (!tid)
		std::this_thread::sleep_for(1ms);
	wait_until_asleep(tid);
	mutex.unlock();
	other.join();
	shared.lock_shared();
	CHECK_TRACE(trace()->holds_added == 1);
	shared.unlock_shared();
	CHECK_TRACE(trace()->holds_removed == 1);
}

static void check_latch()
{
	std::latch latch(1);
	std::thread other([&] {
		wait_until_asleep(getpid());
		latch.count_down();
	});
	unsigned begun = trace() ? trace()->begun : 0;

	latch.wait();
	CHECK_TRACE(trace()->begun > begun && trace()->last.op == WIRE_OP_FUTEX_WAIT);
	other.join();
}

static sem_t never;

static void thrower(int)
{
	throw 42;
}

static void check_exception()
{
	int caught = 0;

	sem_init(&never, 0, 0);
	signal(SIGALRM, thrower);
	try {
		ualarm(20000, 0);
		while (sem_wait(&never))
			;
	} catch (int value) {
		caught = value;
	}
	CHECK(caught == 42);
	CHECK_TRACE(trace()->open == 0);
}

int main()
{
	check_cond();
	check_mutex();
	check_latch();
	check_exception();
	puts("ok");
	return 0;
}
