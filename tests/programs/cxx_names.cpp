/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * frame: shop::Store<int>::place
 * frame: shop::(anonymous namespace)::refill
 * object: shop::store "shop::(anonymous namespace)::stock_lock"
 * variants: -O0 -O2
 *
 * What it is: a cycle of two std::mutex in a template's member and in a function of an anonymous
 * namespace, called through lambdas: names as the programmer wrote them have to come out.
 */
#include "prog.h"
#include <barrier>
#include <mutex>
#include <thread>

namespace shop
{

namespace
{
std::mutex stock_lock;
std::barrier both(2);

__attribute__((noipa)) void refill(std::mutex &orders)
{
	std::lock_guard<std::mutex> stock(stock_lock);
	both.arrive_and_wait();
	std::lock_guard<std::mutex> order(orders);
}
} // namespace

template <typename Item> struct Store {
	std::mutex lock;

	__attribute__((noipa)) void place(Item item)
	{
		std::unique_lock<std::mutex> order(lock);
		both.arrive_and_wait();
		take(item);
	}

	/* inlined into place() by an optimising compiler */
	inline void take(Item item)
	{
		std::unique_lock<std::mutex> stock(stock_lock);
		(void)item;
	}
};

Store<int> store;

} // namespace shop

int main()
{
	std::thread customer([] { shop::store.place(1); });
	std::thread supplier([] { shop::refill(shop::store.lock); });

	prog_ready();
	customer.join();
	supplier.join();
}
