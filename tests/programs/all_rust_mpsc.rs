/* SPDX-License-Identifier: MIT
 *
 * expect: stuck futex-wait all-asleep 2
 * check: deadlock
 * variants: -O0 -O2
 *
 * What it is: main and a worker each receive from a channel whose only sender the other holds.
 */
use std::sync::mpsc;
use std::thread;

extern "C" {
    fn alarm(seconds: u32) -> u32;
}

fn main() {
    let (to_worker, from_main) = mpsc::channel::<u32>();
    let (to_main, from_worker) = mpsc::channel::<u32>();

    thread::spawn(move || {
        if let Ok(value) = from_main.recv() {
            let _ = to_main.send(value);
        }
    });
    unsafe { alarm(1800) };
    println!("ready");
    if let Ok(value) = from_worker.recv() {
        let _ = to_worker.send(value);
    }
}
