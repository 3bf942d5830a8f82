//! Counts of the classes of disagreement, and the file that records them.

use super::classes::{CLASSES, Qemu, classify};
use super::{Set, View, capstone, words};
use emu::cpu::model::Model;
use std::collections::BTreeMap;

/// Words that a class keeps for QEMU.
pub const SAMPLES: usize = 500;

#[derive(Default)]
pub struct Group {
    pub count: usize,
    pub samples: Vec<u32>,
}

#[derive(Default)]
pub struct Report {
    pub compared: usize,
    pub agreed: usize,
    /// By instruction set and index of the class.
    pub groups: BTreeMap<(Set, usize), Group>,
    /// Disagreements in no class.
    pub unclassified: Vec<String>,
}

/// Compares all 16-bit words and `count` random words each of A32 and of 32-bit T32, as the `max` model decodes them.
pub fn run(count: usize) -> Report {
    let disassembler = capstone::Disassembler::new();
    let features = Model::max().features;
    let mut report = Report::default();
    for set in Set::ALL {
        for word in words(set, count) {
            let view = View::of(set, word, features, &disassembler);
            report.compared += 1;
            if view.agrees() {
                report.agreed += 1;
            } else if let Some(class) = classify(&view) {
                let group = report.groups.entry((set, class)).or_default();
                group.count += 1;
                if group.samples.len() < SAMPLES {
                    group.samples.push(word);
                }
            } else {
                report.unclassified.push(format!(
                    "{} {word:#010x}: {:?} (row {}), capstone {:?} {}",
                    set.name(),
                    view.ours,
                    view.row.map_or("none", |r| r.name),
                    view.capstone,
                    view.text
                ));
            }
        }
    }
    report
}

impl Report {
    /// One line a class: set, class, QEMU's verdict, count.
    pub fn lines(&self) -> Vec<String> {
        let line = |(&(set, class), group): (&(Set, usize), &Group)| {
            let class = &CLASSES[class];
            let qemu = match class.qemu {
                Qemu::Sigill => "sigill",
                Qemu::Runs => "runs",
            };
            format!("{} {:<24} {qemu:<6} {:>8}", set.name(), class.name, group.count)
        };
        self.groups.iter().map(line).collect()
    }
}
