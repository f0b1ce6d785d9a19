/* SPDX-License-Identifier: MIT
 *
 * expect@mpsc: stuck futex-wait unreachable 1
 * expect@park: stuck futex-wait unreachable 1
 * expect@condvar: stuck futex-wait unreachable 1
 * kind: futex
 * args: mpsc | park | condvar
 * runs: 20 18
 * variants: -O0 -O2
 *
 * What it is: Rust: a receiver whose sender was forgotten, a thread that parks and whose handle was
 * dropped, a condition variable that only the waiter still has. What the runtime leaves behind in
 * main's registers and in blocks that are used again may keep them in a run or two of twenty.
 */
use std::sync::{mpsc, Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

extern "C" {
    fn alarm(seconds: u32) -> u32;
}

/* The handle is dropped, so the thread is nobody's. */
fn start(run: impl FnOnce() + Send + 'static) {
    drop(thread::spawn(run));
}

fn forget_sender() {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();

    start(move || {
        let _ = receiver.recv();
    });
    std::mem::forget(sender);
}

fn park() {
    start(|| loop {
        thread::park();
    });
}

fn forget_condition() {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));

    start(move || {
        let (lock, changed) = &*pair;
        let mut ready = lock.lock().unwrap();
        while !*ready {
            ready = changed.wait(ready).unwrap();
        }
    });
}

#[inline(never)]
fn set_up(what: &str) {
    match what {
        "mpsc" => forget_sender(),
        "park" => park(),
        "condvar" => forget_condition(),
        _ => std::process::exit(99),
    }
}

#[inline(never)]
fn fill_stack() {
    let dead = [0u8; 65536];

    unsafe { std::arch::asm!("/* {0} */", in(reg) &dead) }; // black_box() is too young
}

fn main() {
    set_up(&std::env::args().nth(1).unwrap());
    fill_stack();
    unsafe { alarm(1800) };
    println!("ready");
    thread::sleep(Duration::from_secs(1800));
}
