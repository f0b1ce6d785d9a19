/* SPDX-License-Identifier: MIT
 *
 * expect@future: stuck futex-wait unreachable 1
 * expect@channel: stuck cond-wait unreachable 1
 * expect@both_ends: stuck cond-wait unreachable 2
 * expect@semaphore: stuck futex-wait unreachable 1
 * kind@future: futex
 * kind@channel: cond
 * creator: stuck set_up main
 * args: future | channel | both_ends | semaphore
 * runs: 20
 * variants: -O0 -O2
 *
 * What it is: C++: a future whose promise was made by new and forgotten; a channel in a shared_ptr
 * of which only the receiver still has one; two channels between two threads that each wait for
 * the other, which nobody else has; a semaphore in a unique_ptr that was released.
 */
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include "forget.h"

template <typename T> class channel {
public:
	void send(T value)
	{
		std::lock_guard one(lock);
		values.push_back(std::move(value));
		changed.notify_one();
	}
	T receive()
	{
		std::unique_lock one(lock);
		changed.wait(one, [this] { return !values.empty(); });
		T value = std::move(values.front());
		values.pop_front();
		return value;
	}

private:
	std::mutex lock;
	std::condition_variable changed;
	std::deque<T> values;
};

using words = channel<std::string>;

static void wait_for_promise(std::future<int> answer)
{
	(void)answer.get();
}

static void receive_from(std::shared_ptr<words> input)
{
	(void)input->receive();
}

static void answer_by(std::shared_ptr<words> input, std::shared_ptr<words> output)
{
	for (;;)
		output->send(input->receive());
}

static void acquire(std::counting_semaphore<8> *count)
{
	count->acquire();
}

static REACH_APART void set_up(const std::string &what)
{
	if (what == "future") {
		auto promise = new std::promise<int>;
		std::thread(wait_for_promise, promise->get_future()).detach();
	} else if (what == "channel") {
		auto input = std::make_shared<words>();
		std::thread(receive_from, input).detach();
	} else if (what == "both_ends") {
		auto one = std::make_shared<words>(), other = std::make_shared<words>();
		std::thread(answer_by, one, other).detach();
		std::thread(answer_by, other, one).detach();
	} else {
		auto count = std::make_unique<std::counting_semaphore<8> >(0);
		std::thread(acquire, count.release()).detach();
	}
}

int main(int argc, char **argv)
{
	PROG_CHECK(argc == 2);
	set_up(argv[1]);
	reach_forget();
	prog_ready();
	prog_sleep_long();
}
