//! The page about system calls, made from their table.

use emu::linux::table::rows::ROWS;
use emu::linux::table::{ARM_PRIVATE, Level, NO, Row};
use std::fmt::Write;

const HEAD: &str = "\
# System calls

Made from `src/linux/table/rows.rs` by `tools/syscall-docs`; do not edit.

Numbers are those of the ARM EABI through Linux 6.18; a number without a row answers ENOSYS. A call that is not there
answers ENOSYS, as a kernel that was built without it does, and says so under `--strace` and `-d unimp`. A call that
the host's kernel is too old for answers ENOSYS, too.

";

fn number(row: &Row) -> String {
    if row.arm >= ARM_PRIVATE {
        format!("{:#x}", row.arm)
    } else {
        row.arm.to_string()
    }
}

/// The whole page.
pub fn page() -> String {
    let mut out = HEAD.to_string();
    let rows: Vec<&Row> = ROWS.iter().filter(|r| r.arm != NO).collect();
    let count = |wanted: fn(&Level) -> bool| rows.iter().filter(|r| wanted(&r.level)).count();
    writeln!(
        out,
        "{} calls: {} there, {} in part, {} not.\n\n| number | call | |\n| --- | --- | --- |",
        rows.len(),
        count(|l| matches!(l, Level::Full)),
        count(|l| matches!(l, Level::Partial(_))),
        count(|l| matches!(l, Level::Missing(_))),
    )
    .expect("a string takes it");
    for row in rows {
        let note = match row.level {
            Level::Full => String::new(),
            Level::Partial(what) => format!("in part: {what}"),
            Level::Missing(why) => format!("not there: {why}"),
        };
        writeln!(out, "| {} | {} | {note} |", number(row), row.name).expect("a string takes it");
    }
    out
}
