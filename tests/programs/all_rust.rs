/* SPDX-License-Identifier: MIT
 *
 * expect: stuck futex-wait all-asleep 4
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * frame: on_channel
 * frame: on_park
 * frame: on_condvar
 * frame: on_barrier
 * variants: -O0 -O2
 *
 * What it is: everybody asleep on what Rust's standard library has: a channel whose sender is
 * kept but never used, park, a condition variable, a barrier short by one; main joins.
 */
use std::sync::{mpsc, Barrier, Condvar, Mutex};
use std::thread;

static LOCK: Mutex<bool> = Mutex::new(false);
static CHANGED: Condvar = Condvar::new();

extern "C" {
    fn alarm(seconds: u32) -> u32;
}

#[inline(never)]
fn on_channel() {
    let (sender, receiver) = mpsc::channel::<u32>();
    let _ = receiver.recv();
    drop(sender);
}

#[inline(never)]
fn on_park() {
    loop {
        thread::park();
    }
}

#[inline(never)]
fn on_condvar() {
    let mut ready = LOCK.lock().unwrap();
    while !*ready {
        ready = CHANGED.wait(ready).unwrap();
    }
}

#[inline(never)]
fn on_barrier() {
    let short = Barrier::new(2);
    short.wait();
}

fn main() {
    let first = thread::spawn(on_channel);
    thread::spawn(on_park);
    thread::spawn(on_condvar);
    thread::spawn(on_barrier);
    unsafe { alarm(1800) };
    println!("ready");
    first.join().unwrap();
}
