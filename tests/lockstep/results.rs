//! The results file of a campaign: cumulative, resumable, text.
//!
//! ```text
//! lockstep 1
//! group a32 seed 1 next 1000 sequences 64000 cases 1024000 faults 81000 excused 3100 mismatches 0
//! distinct a32 3f0a...
//! row A32 add cccc0000100snnnnddddiiiiitt0mmmm 12034 0
//! ```

use super::coverage::Count;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// One group's campaign with one seed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Number of the next batch.
    pub next: u64,
    pub sequences: u64,
    pub cases: u64,
    /// Cases that a signal ended.
    pub faults: u64,
    /// Cases that differ for a reason that `exclude` gives.
    pub excused: u64,
    /// Sequences that differ by memory that is not the same everywhere, or because an earlier one wrote to their code.
    pub strays: u64,
    pub mismatches: u64,
}

/// How many different sequences there were, about: HyperLogLog with 2^12 registers (error 1.6 %).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distinct(Vec<u8>);

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct(vec![0; 4096])
    }
}

impl Distinct {
    pub fn add(&mut self, code: &[u32]) {
        let hash = code.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, w| {
            (h ^ u64::from(*w)).wrapping_mul(0x0100_0000_01b3)
        });
        // The multiplication leaves the low bits poorly mixed.
        let hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = hash ^ hash >> 32;
        let register = &mut self.0[hash as usize & 4095];
        *register = (*register).max((hash >> 12 | 1 << 52).trailing_zeros() as u8 + 1);
    }

    pub fn estimate(&self) -> f64 {
        let m = self.0.len() as f64;
        let sum: f64 = self.0.iter().map(|&r| 2f64.powi(-i32::from(r))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let zeros = self.0.iter().filter(|&&r| r == 0).count();
        if raw < 2.5 * m && zeros > 0 {
            m * (m / zeros as f64).ln()
        } else {
            raw
        }
    }

    fn to_text(&self) -> String {
        self.0.iter().map(|r| format!("{r:02x}")).collect()
    }

    fn from_text(text: &str) -> Option<Distinct> {
        let byte = |i: usize| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok();
        (0..4096).map(byte).collect::<Option<_>>().map(Distinct)
    }
}

#[derive(Clone, Default, Debug)]
pub struct Results {
    /// By group and seed.
    pub groups: BTreeMap<(String, u64), Totals>,
    /// By group.
    pub distinct: BTreeMap<String, Distinct>,
    pub rows: BTreeMap<String, Count>,
}

impl Results {
    /// Reads a file; one that is not there has no results.
    ///
    /// # Errors
    /// The host's, or a line that is not understood.
    pub fn read(path: &Path) -> io::Result<Results> {
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Results::default()),
            text => text?,
        };
        let mut results = Results::default();
        for line in text.lines().skip(1) {
            results.line(line).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{}: not understood: {line}", path.display()),
                )
            })?;
        }
        Ok(results)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["group", group, "seed", seed, ref rest @ ..] => {
                let mut totals = Totals::default();
                for pair in rest.chunks(2) {
                    *totals.member(pair[0])? = pair.get(1)?.parse().ok()?;
                }
                self.groups.insert((group.into(), seed.parse().ok()?), totals);
            }
            ["distinct", group, registers] => {
                self.distinct
                    .insert(group.into(), Distinct::from_text(registers)?);
            }
            ["row", state, name, pattern, executed, faulted] => {
                let count = Count {
                    executed: executed.parse().ok()?,
                    faulted: faulted.parse().ok()?,
                };
                self.rows.insert(format!("{state} {name} {pattern}"), count);
            }
            _ => return None,
        }
        Some(())
    }

    /// Replaces the file at once.
    ///
    /// # Errors
    /// The host's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = String::from("lockstep 1\n");
        for ((group, seed), totals) in &self.groups {
            let _ = writeln!(text, "group {group} seed {seed} {}", totals.to_text());
        }
        for (group, distinct) in &self.distinct {
            let _ = writeln!(text, "distinct {group} {}", distinct.to_text());
        }
        for (key, count) in &self.rows {
            let _ = writeln!(text, "row {key} {} {}", count.executed, count.faulted);
        }
        let new = path.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(new, path)
    }
}

impl Totals {
    const NAMES: [&'static str; 7] = [
        "next",
        "sequences",
        "cases",
        "faults",
        "excused",
        "strays",
        "mismatches",
    ];

    fn member(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "next" => &mut self.next,
            "sequences" => &mut self.sequences,
            "cases" => &mut self.cases,
            "faults" => &mut self.faults,
            "excused" => &mut self.excused,
            "strays" => &mut self.strays,
            "mismatches" => &mut self.mismatches,
            _ => return None,
        })
    }

    pub fn to_text(self) -> String {
        let mut copy = self;
        let words: Vec<String> = Self::NAMES
            .iter()
            .map(|n| format!("{n} {}", copy.member(n).map_or(0, |m| *m)))
            .collect();
        words.join(" ")
    }
}
