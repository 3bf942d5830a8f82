//! A guest thread as the system layer sees it.

/// Per-thread state of the system layer.
#[derive(Default)]
pub struct Task {}
