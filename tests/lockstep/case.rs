//! One code sequence with its inputs, by itself: what is reduced, reported, and kept as text in `fixtures/corpus`.

use super::layout::{ARENA, BACKGROUNDS, CODE_WORDS, Input, VFP, WINDOW_SIZE};
use super::values;
use emu::isa::generate::Rng;
use std::fmt::Write;

#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    pub code: [u32; CODE_WORDS],
    /// Where it is, from the arena's start.
    pub at: u32,
    pub background: usize,
    pub flags: u32,
    pub inputs: Vec<Input>,
}

/// Contents number `index` of the window, the same in every campaign.
pub fn background(index: usize) -> Vec<u32> {
    let mut words = vec![0; WINDOW_SIZE as usize / 4];
    values::background(&mut Rng(0x6261_636b + index as u64), &mut words);
    words
}

impl Case {
    pub fn thumb(&self) -> bool {
        self.inputs[0].r[15] & 1 == 1
    }

    pub fn address(&self) -> u32 {
        ARENA + self.at
    }

    /// The file's text; `remarks` become comments.
    pub fn to_text(&self, remarks: &[String]) -> String {
        let mut text = String::new();
        for line in remarks {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(
            text,
            "at {:x}\nbackground {}\nflags {}",
            self.at, self.background, self.flags
        );
        let used = self.code.iter().rposition(|w| *w != FILLER).map_or(0, |i| i + 1);
        let words: Vec<String> = self.code[..used].iter().map(|w| format!("{w:08x}")).collect();
        let _ = writeln!(text, "code {}", words.join(" "));
        for input in &self.inputs {
            let words: Vec<String> = input
                .r
                .iter()
                .chain([&input.cpsr, &input.fpscr])
                .map(|w| format!("{w:x}"))
                .collect();
            let _ = writeln!(text, "input {}", words.join(" "));
            if self.flags & VFP == 0 {
                continue;
            }
            let set = input.d.iter().enumerate().filter(|(_, d)| **d != 0);
            let set: Vec<String> = set.map(|(i, d)| format!("d{i}={d:x}")).collect();
            if !set.is_empty() {
                let _ = writeln!(text, "vector {}", set.join(" "));
            }
        }
        text
    }

    /// # Errors
    /// The line that is not understood.
    pub fn from_text(text: &str) -> Result<Case, String> {
        let mut case = Case {
            code: [FILLER; CODE_WORDS],
            at: 0,
            background: 0,
            flags: 0,
            inputs: Vec::new(),
        };
        for line in text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        {
            case.line(line).ok_or_else(|| format!("not understood: {line}"))?;
        }
        if case.inputs.is_empty() || case.background >= BACKGROUNDS {
            return Err("no input, or no such background".into());
        }
        Ok(case)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once(' ')?;
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        match name {
            "at" => self.at = hex(rest)?,
            "background" => self.background = rest.parse().ok()?,
            "flags" => self.flags = rest.parse().ok()?,
            "code" => {
                for (i, word) in rest.split(' ').enumerate() {
                    *self.code.get_mut(i)? = hex(word)?;
                }
            }
            "input" => {
                let words: Option<Vec<u32>> = rest.split(' ').map(hex).collect();
                let words = words.filter(|w| w.len() == 18)?;
                self.inputs.push(Input {
                    r: words[..16].try_into().ok()?,
                    cpsr: words[16],
                    fpscr: words[17],
                    pad: [0; 2],
                    d: [0; 32],
                });
            }
            "vector" => {
                for one in rest.split(' ') {
                    let (register, bits) = one.strip_prefix('d')?.split_once('=')?;
                    let d = &mut self.inputs.last_mut()?.d;
                    *d.get_mut(register.parse::<usize>().ok()?)? = u64::from_str_radix(bits, 16).ok()?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// What unused words hold (see `sequence`).
pub const FILLER: u32 = 0xe7ff_defe;
