/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: Rust threads asleep on a channel, a mutex, a RwLock, a condition variable, park, a
 * barrier and a Once; one live thread, which reads the standard input, will end all of them.
 */
use std::io::Read;
use std::sync::{mpsc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;

static LOCK: Mutex<u32> = Mutex::new(0);
static TABLE: RwLock<u32> = RwLock::new(0);
static READY: Mutex<bool> = Mutex::new(false);
static CHANGED: Condvar = Condvar::new();
static FIRST: Once = Once::new();

extern "C" {
    fn alarm(seconds: u32) -> u32;
}

fn wait_for_stop() {
    let mut byte = [0u8; 1];
    let _ = std::io::stdin().read(&mut byte);
}

fn main() {
    let (sender, receiver) = mpsc::channel::<u32>();
    let barrier = std::sync::Arc::new(Barrier::new(2));
    let holding = std::sync::Arc::new(Barrier::new(2));
    let mut threads = Vec::new();

    threads.push(thread::spawn(move || assert_eq!(receiver.recv(), Ok(1))));
    threads.push(thread::spawn(thread::park));
    threads.push(thread::spawn(|| {
        let mut ready = READY.lock().unwrap();
        while !*ready {
            ready = CHANGED.wait(ready).unwrap();
        }
    }));
    let short = barrier.clone();
    threads.push(thread::spawn(move || {
        short.wait();
    }));
    let parked = threads[1].thread().clone();
    let held = holding.clone();
    threads.push(thread::spawn(move || {
        let lock = LOCK.lock().unwrap();
        let table = TABLE.write().unwrap();
        FIRST.call_once(|| {
            held.wait();
            wait_for_stop();
        });
        drop((lock, table));
        sender.send(1).unwrap();
        parked.unpark();
        *READY.lock().unwrap() = true;
        CHANGED.notify_all();
        barrier.wait();
    }));
    holding.wait();
    threads.push(thread::spawn(|| *LOCK.lock().unwrap() += 1));
    threads.push(thread::spawn(|| *TABLE.write().unwrap() += 1));
    threads.push(thread::spawn(|| assert!(*TABLE.read().unwrap() < 2)));
    threads.push(thread::spawn(|| FIRST.call_once(|| panic!("called twice"))));
    unsafe { alarm(1800) };
    println!("ready");
    for thread in threads {
        thread.join().unwrap();
    }
    println!("ok");
}
