//! A guest process as the system layer sees it.

/// Per-process state of the system layer.
#[derive(Default)]
pub struct Process {}
