//! A flag that other threads of a test watch, set when the test ends, however it ends.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets the flag when it is dropped, by a panic as well: a scope that waits for threads that watch the flag would
/// otherwise wait for ever instead of saying what failed.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
