//! The differential machine of `tools/lockstep`: the corpus of what it found once, then campaigns with fixed seeds.

#[path = "lockstep/mod.rs"]
#[allow(dead_code, reason = "the test and the tool use different parts of it")]
mod lockstep;

use emu::cpu::model::Model;
use lockstep::campaign::Campaign;
use lockstep::case::Case;
use lockstep::coverage::Count;
use lockstep::desk::Desk;
use lockstep::executors::{self, Variants};
use lockstep::generate::Isa;
use lockstep::report::report;
use lockstep::rows::Rows;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn setting(cpu: &str, variants: Variants) -> lockstep::desk::Setting {
    let model = Model::by_name(cpu).expect("a processor");
    executors::setting(
        env!("CARGO_BIN_EXE_emu"),
        model,
        &fixtures().join(executors::guest(model)),
        variants,
    )
}

/// Every case in fixtures/corpus, under everything.
fn replay_corpus() {
    let setting = setting("max", Variants::All);
    let mut desk = Desk::new(&setting).expect("guests start");
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixtures().join("corpus"))
        .expect("a corpus")
        .map(|e| e.expect("an entry").path())
        .collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "case"));
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("text");
        let case = Case::from_text(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        if let Some(mismatch) = desk.check(&case, true).expect("guests start") {
            panic!("{}\n{}", file.display(), report(&mut desk, &case, &mismatch));
        }
    }
}

/// A campaign of `cases`; what it finds is printed and fails the test. Adds to the counts of table rows, by their keys,
/// and returns those that were exercised too little.
fn campaign(isa: Isa, cases: u64, counts: &mut BTreeMap<String, Count>) -> Vec<String> {
    let setting = setting("max", Variants::Turn);
    let rows = Rows::new(setting.context.features);
    let mut campaign = Campaign::new(&setting, &rows, isa, 1, 16).expect("guests start");
    campaign.interpret = 16;
    campaign.enough = 1;
    campaign.coverage.restore(&rows, counts);
    campaign.run(cases).expect("guests start");
    if let Some(found) = campaign.found.first() {
        let place = format!(
            "{isa:?} batch {} slot {}: {}",
            found.batch, found.slot, found.first
        );
        panic!("{place}\n{}\n{}", found.report, found.case.to_text(&[]));
    }
    println!("{isa:?} {}", campaign.totals.to_text());
    for (place, info) in rows.all.iter().enumerate() {
        counts.insert(info.key(), campaign.coverage.get(place as u16));
    }
    campaign.missing(QUOTA)
}

/// How often each table row is executed at least.
const QUOTA: u64 = 100;

/// 10^6 cases, after the corpus.
#[test]
fn qemu_and_emu_agree() {
    replay_corpus();
    let mut counts = BTreeMap::new();
    let mut missing = Vec::new();
    for isa in [Isa::A32, Isa::T32, Isa::Vfp, Isa::Simd, Isa::Mix] {
        missing = campaign(isa, 200_000, &mut counts);
    }
    assert!(
        missing.is_empty(),
        "rows that were not exercised:\n{}",
        missing.join("\n")
    );
}
