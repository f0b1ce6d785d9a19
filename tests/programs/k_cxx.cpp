/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * load: yes
 * looks: 25
 * ends: quit
 * args: promise | async | weak | function | coroutine | map | short_string | channel
 * variants: -O2
 * long: -O0
 *
 * What it is: C++: what will end the wait is a promise in another thread's closure, the closure of an
 * asynchronous call, a weak_ptr that can be locked, a lambda in a std::function, the frame of a
 * suspended coroutine, an element of a map, the bytes of a short string, or the other end of a
 * channel. What a careless prover gets wrong: closures and frames are blocks that only a few odd
 * words lead to: a handle, a pointer to a control block, to a node, into an array's middle.
 */
#include <condition_variable>
#include <coroutine>
#include <cstring>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include "forget.h"

struct gate {
	std::mutex lock;
	std::condition_variable changed;
	bool is_open = false;

	void wait()
	{
		std::unique_lock one(lock);
		changed.wait(one, [this] { return is_open; });
	}
	void open()
	{
		std::lock_guard one(lock);
		is_open = true;
		changed.notify_all();
	}
};

/* A coroutine that is made, stops at once, and opens the gate when it is gone on with. */
struct task {
	struct promise_type {
		task get_return_object()
		{
			return { std::coroutine_handle<promise_type>::from_promise(*this) };
		}
		std::suspend_always initial_suspend() noexcept { return {}; }
		std::suspend_always final_suspend() noexcept { return {}; }
		void return_void() {}
		void unhandled_exception() { abort(); }
	};
	std::coroutine_handle<promise_type> handle;
};

static task open_later(gate *which)
{
	which->open();
	co_return;
}

static std::thread waiter, other;
static std::future<void> pending;
static std::function<void()> later;
static std::coroutine_handle<> suspended;
static std::map<int, gate *> table;
static std::string bytes;
static std::weak_ptr<gate> observed;
static int ends[2];

static void wait_for_order()
{
	char order;

	PROG_CHECK(read(ends[0], &order, 1) == 1);
}

static void give_order()
{
	PROG_CHECK(write(ends[1], "", 1) == 1);
}

static void wait_at(gate *which)
{
	which->wait();
}

/* Those that take the gate over; what ends the wait is returned. */
static std::function<void()> keep_gate(const std::string &what, gate *which)
{
	if (what == "function") {
		later = [which, numbers = std::string(100, 'x')] { which->open(); };
		return [] { later(); };
	}
	if (what == "coroutine") {
		suspended = open_later(which).handle;
		return [] { suspended.resume(); };
	}
	if (what == "map") {
		for (int i = 0; i < 1000; i++)
			table[i] = i == 617 ? which : nullptr;
		return [] { table[617]->open(); };
	}
	bytes = std::string("ab") + std::string(reinterpret_cast<char *>(&which), sizeof(which));
	return [] {
		gate *found;
		memcpy(&found, bytes.data() + 2, sizeof(found));
		found->open();
	};
}

static void wait_shared(std::shared_ptr<gate> which)
{
	which->wait();
}

static REACH_APART std::function<void()> set_up(const std::string &what)
{
	PROG_CHECK(pipe(ends) == 0);
	if (what == "promise") {
		std::promise<int> promise;
		waiter = std::thread([future = promise.get_future()]() mutable { future.get(); });
		other = std::thread([promise = std::move(promise)]() mutable {
			wait_for_order();
			promise.set_value(1);
		});
		return give_order;
	}
	if (what == "async") {
		auto answer = std::async(std::launch::async, wait_for_order).share();
		waiter = std::thread([answer] { answer.get(); });
		return give_order;
	}
	if (what == "channel") {
		auto which = std::make_shared<gate>();
		waiter = std::thread(wait_shared, which);
		other = std::thread([which] {
			wait_for_order();
			which->open();
		});
		return give_order;
	}
	if (what == "weak") {
		auto which = std::make_shared<gate>();
		observed = which;
		waiter = std::thread(wait_shared, which);
		return [] { observed.lock()->open(); };
	}
	gate *which = new gate;
	waiter = std::thread(wait_at, which);
	return keep_gate(what, which);
}

static void *load(void *arg)
{
	for (size_t turn = 0;; turn++) {
		std::string text(turn % 3000, 'x');
		if (turn % 4096 == 0)
			usleep(300);
	}
	return arg;
}

int main(int argc, char **argv)
{
	char order;

	PROG_CHECK(argc == 2);
	auto end = set_up(argv[1]);
	reach_forget();
	prog_ready();
	while (read(STDIN_FILENO, &order, 1) == 1 && order != 'q') {
		prog_thread(load, nullptr);
		prog_say("done\n");
	}
	end();
	waiter.join();
	if (other.joinable())
		other.join();
	prog_end(true);
}
