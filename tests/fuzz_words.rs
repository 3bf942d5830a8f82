//! Random instruction words: a fixed slice of what `tools/fuzz-words` executes ten million of.

#[path = "words/campaign.rs"]
mod campaign;
#[path = "words/program.rs"]
mod program;
#[path = "random/mod.rs"]
mod random;

/// Nothing panics, hangs or leaves the window, and every way to end occurs.
#[test]
fn random_words() {
    let programs = 3_000;
    // And a program in which a loop had no instruction boundary, so that nothing could end it.
    let mut outcome = campaign::run(14_366..14_367);
    outcome.add(campaign::run(0..programs - 1));
    assert!(outcome.bad.is_empty(), "{outcome:x?}");
    assert_eq!(outcome.runs, programs * program::PROGRAM_WORDS as u64);
    for (name, count) in campaign::ENDS.iter().zip(outcome.ends) {
        assert!(count > 20 || *name == "other", "{name}: {outcome:?}");
    }
}
