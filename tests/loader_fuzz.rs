//! The loader and hostile files: a fixed slice of what `tools/fuzz-loader` runs a million of.

#[path = "loader/campaign.rs"]
mod campaign;
#[path = "loader/elf.rs"]
mod elf;
#[path = "loader/mutate.rs"]
mod mutate;
#[path = "loader/random.rs"]
mod random;

use emu::load::plan;
use emu::mem::{PAGE_SIZE, TASK_SIZE};

/// Planning never panics, and what it accepts keeps its promises.
#[test]
fn plans_of_mutants() {
    let seeds = mutate::seeds();
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..200_000 {
        let bytes = mutate::mutant(&seeds, seed);
        let Ok(plan) = plan(&bytes[..]) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        assert!(!plan.segments.is_empty());
        assert!(plan.align.is_power_of_two() && plan.align >= PAGE_SIZE);
        assert!(plan.low < plan.high && plan.high <= TASK_SIZE, "seed {seed}");
        assert!(plan.low % PAGE_SIZE == 0 && plan.high % PAGE_SIZE == 0);
        for segment in &plan.segments {
            assert!(segment.file_size <= segment.memsz && segment.memsz > 0);
            assert!(
                segment
                    .vaddr
                    .checked_add(segment.memsz)
                    .is_some_and(|end| end <= plan.high)
            );
            assert!(plan.low <= segment.vaddr);
            assert!(
                segment.file_size == 0 || segment.offset + u64::from(segment.file_size) <= bytes.len() as u64
            );
        }
        assert!(
            plan.interpreter
                .as_ref()
                .is_none_or(|name| !name.is_empty() && !name.contains(&0))
        );
    }
    // Both kinds must occur in numbers, or the mutations test nothing.
    assert!(
        accepted > 20_000 && refused > 20_000,
        "{accepted} accepted, {refused} refused"
    );
}

/// Loading never panics, hangs or leaves the window.
#[test]
fn loads_of_mutants() {
    let outcome = campaign::run(0..2_000);
    assert_eq!(outcome.bad, [], "{outcome:?}");
    assert_eq!(outcome.loaded + outcome.refused, 2_000);
    assert!(outcome.loaded > 200 && outcome.refused > 200, "{outcome:?}");
}
