/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: threads asleep on a future, a latch, a semaphore, a shared_mutex, a call_once and a
 * static initialisation, all of which a live thread will end when it is told to.
 */
#include "prog.h"
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <thread>
#include <vector>

static std::promise<int> answer;
static std::shared_future<int> result = answer.get_future().share();
static std::latch finished(1);
static std::counting_semaphore<8> tickets(0);
static std::shared_mutex table;
static std::once_flag once;
static std::latch holding(4);

static void wait_for_stop()
{
	holding.arrive_and_wait();
	while (!prog_stop())
		prog_nap_ms(20);
}

static int slow_value()
{
	wait_for_stop();
	return 1;
}

static int value()
{
	static int made = slow_value();
	return made;
}

static void hold_table()
{
	std::unique_lock<std::shared_mutex> held(table);
	wait_for_stop();
}

static void give_everything()
{
	wait_for_stop();
	answer.set_value(1);
	finished.count_down();
	tickets.release(1);
}

int main()
{
	std::vector<std::thread> threads;

	threads.emplace_back(give_everything);
	threads.emplace_back(hold_table);
	threads.emplace_back([] { value(); });
	threads.emplace_back([] { std::call_once(once, wait_for_stop); });
	holding.wait();
	threads.emplace_back([] { result.wait(); });
	threads.emplace_back([] { finished.wait(); });
	threads.emplace_back([] { tickets.acquire(); });
	threads.emplace_back([] { std::shared_lock<std::shared_mutex> reader(table); });
	threads.emplace_back([] { std::unique_lock<std::shared_mutex> writer(table); });
	threads.emplace_back([] { value(); });
	threads.emplace_back([] { std::call_once(once, wait_for_stop); });
	prog_ready();
	for (auto &thread : threads)
		thread.join();
	prog_end(true);
}
