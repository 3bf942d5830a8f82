//! Sums, shared between threads.

/// The sum of the squares below `n`, by `threads` threads.
pub fn squares(n: u64, threads: u64) -> u64 {
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|t| scope.spawn(move || (t..n).step_by(threads as usize).map(|i| i * i).sum::<u64>()))
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex};

    #[test]
    fn parts_add_up() {
        for threads in 1..20 {
            assert_eq!(squares(1000, threads), 332_833_500);
        }
    }

    #[test]
    fn channels_and_barriers() {
        let (send, receive) = mpsc::channel();
        let barrier = Arc::new(Barrier::new(8));
        for i in 0..8 {
            let (send, barrier) = (send.clone(), barrier.clone());
            std::thread::spawn(move || {
                barrier.wait();
                (0..100).for_each(|n| send.send(n * i).unwrap());
            });
        }
        drop(send);
        assert_eq!(receive.iter().sum::<i32>(), 28 * 4950);
    }

    #[test]
    fn conditions() {
        let turn = Arc::new((Mutex::new(0), Condvar::new()));
        let threads: Vec<_> = (0..8)
            .map(|me| {
                let turn = turn.clone();
                std::thread::spawn(move || {
                    for round in 0..50 {
                        let mut now = turn.1.wait_while(turn.0.lock().unwrap(), |now| *now != round * 8 + me).unwrap();
                        *now += 1;
                        turn.1.notify_all();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*turn.0.lock().unwrap(), 400);
    }

    #[test]
    fn wide_atomics() {
        let sum = AtomicU64::new(u64::from(u32::MAX) - 100);
        std::thread::scope(|scope| {
            (0..8).for_each(|_| {
                scope.spawn(|| (0..10_000).for_each(|_| drop(sum.fetch_add(3, Ordering::Relaxed))));
            });
        });
        assert_eq!(sum.into_inner(), u64::from(u32::MAX) - 100 + 240_000);
    }

    #[test]
    fn panics_unwind() {
        let caught = std::thread::spawn(|| panic!("on purpose")).join();
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"on purpose"));
    }

    #[test]
    #[should_panic(expected = "attempt to add with overflow")]
    fn overflow() {
        let one = std::env::args().count().min(1) as i32;
        assert_ne!(i32::MAX + one, 0);
    }

    #[test]
    fn children() {
        let out = std::process::Command::new("echo").arg("child").output().unwrap();
        assert_eq!(out.stdout, b"child\n");
    }
}
