/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: quit
 * settled: no
 * variants: -O2
 *
 * What it is: Rust threads that hand on a token by channels, by park, and by a mutex as fast as
 * they can, while main joins.
 */
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

static STOP: AtomicBool = AtomicBool::new(false);

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

extern "C" {
    fn alarm(seconds: u32) -> u32;
    fn poll(fds: *mut PollFd, count: u64, timeout: i32) -> i32;
}

fn stopped() -> bool {
    let mut input = PollFd { fd: 0, events: 1, revents: 0 };
    if unsafe { poll(&mut input, 1, 0) } != 0 {
        STOP.store(true, Ordering::SeqCst);
    }
    STOP.load(Ordering::SeqCst)
}

fn main() {
    let (to_b, from_a) = mpsc::channel::<u64>();
    let (to_a, from_b) = mpsc::channel::<u64>();
    let count = Arc::new(Mutex::new(0u64));
    let mut threads = Vec::new();

    threads.push(thread::spawn(move || {
        let mut turn = 0;
        while turn % 64 != 0 || !stopped() {
            to_b.send(turn).unwrap();
            turn = from_b.recv().unwrap() + 1;
        }
    }));
    threads.push(thread::spawn(move || {
        while let Ok(turn) = from_a.recv() {
            let _ = to_a.send(turn);
        }
    }));
    let main = thread::current();
    let waker = thread::spawn(move || {
        while !STOP.load(Ordering::SeqCst) {
            main.unpark();
            thread::park();
        }
        main.unpark();
    });
    for _ in 0..2 {
        let shared = count.clone();
        threads.push(thread::spawn(move || {
            while !STOP.load(Ordering::SeqCst) {
                *shared.lock().unwrap() += 1;
            }
        }));
    }
    unsafe { alarm(1800) };
    println!("ready");
    while !STOP.load(Ordering::SeqCst) {
        thread::park();
        waker.thread().unpark();
    }
    waker.thread().unpark();
    waker.join().unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(*count.lock().unwrap() > 0);
    println!("ok");
}
