/* SPDX-License-Identifier: MIT
 *
 * expect: stuck futex-wait all-asleep 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * variants: -O0 -O2
 *
 * What it is: a cycle of two Rust mutexes, which keep no owner: a futex word with a 2 in it, as
 * glibc's own have, but nothing behind it. Proved only because main joins and nobody is live.
 */
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

extern "C" {
    fn alarm(seconds: u32) -> u32;
}

fn lock_both(first: Arc<Mutex<i32>>, second: Arc<Mutex<i32>>, both: Arc<Barrier>) {
    let one = first.lock().unwrap();
    both.wait();
    let two = second.lock().unwrap();
    drop((one, two));
}

fn main() {
    let (left, right) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
    let both = Arc::new(Barrier::new(2));
    let there = (left.clone(), right.clone(), both.clone());
    let back = (right, left, both);

    let first = thread::spawn(move || lock_both(there.0, there.1, there.2));
    thread::spawn(move || lock_both(back.0, back.1, back.2));
    unsafe { alarm(1800) };
    println!("ready");
    first.join().unwrap();
}
