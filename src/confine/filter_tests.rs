//! The compiled filters against a model: the tables read plainly, without jumps.

use super::bpf::{self, Verdict};
use super::policy::{
    BASELINE, I386_SET_ROBUST_LIST, MARKER, MARKER_ERRNO, MARKER_STRICT_ERRNO, TERMINAL_INPUT, X32_BIT,
};
use super::strict::{self, Check, ExecutableRange};
use proptest::prelude::*;
use seccompiler::sock_filter;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;

const ARENA: ExecutableRange = ExecutableRange {
    start: 0x1234_5678_9000,
    len: 128 << 20,
};

fn errno(number: i32) -> u32 {
    0x0005_0000 | number as u32
}

/// struct seccomp_data.
#[derive(Clone, Debug)]
struct Data {
    nr: u32,
    arch: u32,
    args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.nr,
            4 => self.arch,
            16.. => {
                let arg = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) {
                    arg as u32
                } else {
                    (arg >> 32) as u32
                }
            }
            _ => panic!("no word at {offset}"),
        }
    }
}

/// The kernel's interpreter, as far as the programs go (Documentation/networking/filter.rst).
fn execute(program: &[sock_filter], data: &Data) -> u32 {
    let (mut pc, mut acc) = (0, 0);
    loop {
        let insn = &program[pc];
        pc += 1;
        let taken = match insn.code {
            0x20 => {
                acc = data.word(insn.k);
                continue;
            }
            0x06 => return insn.k,
            0x05 => {
                pc += insn.k as usize;
                continue;
            }
            0x15 => acc == insn.k,
            0x35 => acc >= insn.k,
            0x45 => acc & insn.k != 0,
            code => panic!("instruction {code:#x}"),
        };
        pc += usize::from(if taken { insn.jt } else { insn.jf });
    }
}

/// What every program says first.
fn common(data: &Data, marker: i32) -> Option<u32> {
    match data.arch {
        X86_64 if data.nr >= X32_BIT => Some(KILL),
        X86_64 if i64::from(data.nr) == MARKER => Some(errno(marker)),
        X86_64 => None,
        I386 if data.nr == I386_SET_ROBUST_LIST => Some(ALLOW),
        _ => Some(KILL),
    }
}

fn baseline_model(data: &Data) -> u32 {
    if let Some(answer) = common(data, MARKER_ERRNO) {
        return answer;
    }
    if i64::from(data.nr) == libc::SYS_ioctl && TERMINAL_INPUT.contains(&(data.args[1] as u32)) {
        return errno(libc::EPERM);
    }
    let rule = BASELINE.iter().find(|r| r.number == i64::from(data.nr));
    rule.map_or(ALLOW, |r| errno(r.denial.errno()))
}

fn strict_model(rows: &[(u32, Verdict)], data: &Data) -> u32 {
    if let Some(answer) = common(data, MARKER_STRICT_ERRNO) {
        return answer;
    }
    let low = |arg: u8| data.args[usize::from(arg)] as u32;
    let unless = |good: bool, error: i32| if good { ALLOW } else { errno(error) };
    match rows.iter().find(|r| r.0 == data.nr).map(|r| r.1) {
        None => errno(libc::ENOSYS),
        Some(Verdict::Allow) => ALLOW,
        Some(Verdict::Errno(error)) => errno(error),
        Some(Verdict::If(Check::ArenaOnly)) => {
            let exec = low(2) & libc::PROT_EXEC as u32 != 0;
            let write = low(2) & libc::PROT_WRITE as u32 != 0;
            let arena = data.args[0] == ARENA.start && data.args[1] == ARENA.len;
            unless(!exec || arena && !write, libc::EACCES)
        }
        Some(Verdict::If(Check::NoBits {
            arg,
            mask,
            errno: error,
        })) => unless(low(arg) & mask == 0, error),
        Some(Verdict::If(Check::NotOneOf {
            arg,
            values,
            errno: error,
        })) => unless(!values.contains(&low(arg)), error),
        Some(Verdict::If(Check::NotBoth { pair, errno: error })) => {
            unless(!pair.iter().all(|&(arg, value)| low(arg) == value), error)
        }
        Some(Verdict::If(Check::Families(list))) => {
            let route = low(0) != libc::AF_NETLINK as u32 || low(2) == libc::NETLINK_ROUTE as u32;
            match list.contains(&low(0)) {
                true => unless(route, libc::EPROTONOSUPPORT),
                false => errno(libc::EAFNOSUPPORT),
            }
        }
    }
}

/// Values near what the programs compare with, and any.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..64,
        0u64..3,
        any::<u64>(),
        Just(ARENA.start),
        Just(ARENA.len),
        Just(ARENA.start ^ 1 << 40),
        Just(ARENA.len | 1 << 32),
        (0usize..2).prop_map(|i| u64::from(TERMINAL_INPUT[i])),
        (0usize..2).prop_map(|i| u64::from(TERMINAL_INPUT[i]) | 1 << 35),
        (0u32..64).prop_map(|bit| 1 << bit),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    let conditional = (0..strict::CONDITIONAL.len()).prop_map(|i| strict::CONDITIONAL[i].number as u32);
    let nr = prop_oneof![
        4 => 0u32..500,
        4 => conditional,
        1 => any::<u32>(),
        1 => Just(MARKER as u32),
        1 => Just(X32_BIT | 3),
        1 => Just(I386_SET_ROBUST_LIST),
    ];
    let arch = prop_oneof![12 => Just(X86_64), 1 => Just(I386), 1 => any::<u32>()];
    (nr, arch, prop::array::uniform6(value())).prop_map(|(nr, arch, args)| Data { nr, arch, args })
}

/// Some host calls: every third, and those with conditions.
fn calls() -> Vec<libc::c_long> {
    let conditional = strict::CONDITIONAL.iter().map(|c| c.number);
    let refused = strict::REFUSED.iter().map(|r| r.number);
    (0..330).step_by(3).chain(conditional).chain(refused).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn programs_say_what_the_tables_say(data in data(), granted in any::<bool>()) {
        let caps: &[u8] = if granted { &[super::caps::SYS_ADMIN] } else { &[] };
        let rows = strict::verdicts(&calls(), caps);
        let program = bpf::build(&rows, ARENA, MARKER_STRICT_ERRNO);
        prop_assert_eq!(execute(&program, &data), strict_model(&rows, &data));
        prop_assert_eq!(execute(&bpf::PROGRAM, &data), baseline_model(&data));
    }
}

/// Each number alone: no gap between the pieces.
#[test]
fn every_number() {
    let rows = strict::verdicts(&calls(), &[]);
    let program = bpf::build(&rows, ARENA, MARKER_STRICT_ERRNO);
    assert!(program.len() < 4096);
    for nr in (0..1100).chain(X32_BIT - 2..X32_BIT + 2) {
        let data = Data {
            nr,
            arch: X86_64,
            args: [0; 6],
        };
        assert_eq!(execute(&program, &data), strict_model(&rows, &data), "{nr}");
        assert_eq!(execute(&bpf::PROGRAM, &data), baseline_model(&data), "{nr}");
    }
}

#[test]
fn each_row_of_the_strict_tables_names_its_call_once() {
    let mut names: Vec<_> = strict::REFUSED
        .iter()
        .map(|r| (r.name, r.number))
        .chain(strict::CONDITIONAL.iter().map(|c| (c.name, c.number)))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup_by_key(|row| row.1);
    assert_eq!(names.len(), count);
    assert!(
        strict::CONDITIONAL.iter().all(|row| !row.reason.is_empty())
            && strict::REFUSED.iter().all(|row| !row.option.is_empty())
    );
}
