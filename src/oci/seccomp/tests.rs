//! Verdicts of compiled profiles; numbers are those of arch/arm/tools/syscall.tbl.

use super::*;
use emu::linux::seccomp::Data;

const ALLOW: u32 = 0x7fff_0000;
const LOG: u32 = 0x7ffc_0000;
const TRACE: u32 = 0x7ff0_0000;
const TRAP: u32 = 0x0003_0000;
const KILL_THREAD: u32 = 0;
const ERRNO: u32 = 0x0005_0000;
const ENOSYS: u32 = ERRNO | 38;

const READ: u32 = 3;
const UNLINK: u32 = 10;
const MKDIR: u32 = 39;
const LLSEEK: u32 = 140;
const MMAP2: u32 = 192;
const STAT64: u32 = 195;
const SETUID: u32 = 23;
const SETUID32: u32 = 213;
const PERSONALITY: u32 = 136;
const SOCKET: u32 = 281;
const FUTEX_TIME64: u32 = 422;
const SET_TLS: u32 = 0xf0005;

fn profile(json: serde_json::Value) -> LinuxSeccomp {
    serde_json::from_value(json).expect("a profile")
}

fn filter(json: serde_json::Value) -> Program {
    compile(&profile(json)).expect("a filter")
}

fn run(program: &Program, number: u32, args: [u32; 6]) -> u32 {
    let mut data: Data = [0; 16];
    data[0] = number;
    data[1] = ARCH_ARM;
    for (i, arg) in args.into_iter().enumerate() {
        data[4 + 2 * i] = arg;
    }
    program.run(&data)
}

fn plain(program: &Program, number: u32) -> u32 {
    run(program, number, [0; 6])
}

#[test]
fn every_action() {
    let all = filter(serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_ARM"],
        "syscalls": [
            { "names": ["read"], "action": "SCMP_ACT_ERRNO" },
            { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 },
            { "names": ["setuid"], "action": "SCMP_ACT_KILL" },
            { "names": ["setuid32"], "action": "SCMP_ACT_KILL_PROCESS" },
            { "names": ["unlink"], "action": "SCMP_ACT_KILL_THREAD" },
            { "names": ["stat64"], "action": "SCMP_ACT_TRAP" },
            { "names": ["socket"], "action": "SCMP_ACT_TRACE", "errnoRet": 7 },
            { "names": ["mmap2"], "action": "SCMP_ACT_LOG" },
            { "names": ["a_call_of_tomorrow", "arch_prctl"], "action": "SCMP_ACT_KILL" },
        ],
    }));
    let want = [
        (READ, ERRNO | 1),
        (MKDIR, ERRNO | 13),
        (SETUID, KILL_THREAD),
        (SETUID32, RET_KILL_PROCESS),
        (UNLINK, KILL_THREAD),
        (STAT64, TRAP),
        (SOCKET, TRACE | 7),
        (MMAP2, LOG),
        (0, ALLOW),
        (4, ALLOW),
        (1023, ALLOW),
        (SET_TLS, ALLOW),
        (u32::MAX, ALLOW),
    ];
    for (number, verdict) in want {
        assert_eq!(plain(&all, number), verdict, "{number}");
    }
    // Another architecture's numbers mean nothing here.
    let mut data: Data = [0; 16];
    data[1] = 0xc000_003e;
    assert_eq!(all.run(&data), RET_KILL_PROCESS);
}

#[test]
fn numbers_outside_the_profile() {
    let deny = |default: serde_json::Value| {
        let mut profile = serde_json::json!({
            "architectures": ["SCMP_ARCH_ARM"],
            "syscalls": [{ "names": ["read", "mkdir", "set_tls"], "action": "SCMP_ACT_ALLOW" }],
        });
        profile
            .as_object_mut()
            .expect("an object")
            .extend(default.as_object().expect("one").clone());
        filter(profile)
    };
    let errno = deny(serde_json::json!({ "defaultAction": "SCMP_ACT_ERRNO" }));
    assert_eq!(plain(&errno, MKDIR - 1), ERRNO | 1);
    // Newer than the profile's newest: as runc, not there.
    assert_eq!(plain(&errno, MKDIR + 1), ENOSYS);
    assert_eq!(
        (plain(&errno, SET_TLS), plain(&errno, SET_TLS - 1)),
        (ALLOW, ENOSYS)
    );
    assert_eq!(plain(&errno, SET_TLS + 1), ERRNO | 1);
    let errno = deny(serde_json::json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13 }));
    assert_eq!(plain(&errno, MKDIR - 1), ERRNO | 13);
    let kill = deny(serde_json::json!({ "defaultAction": "SCMP_ACT_KILL_PROCESS" }));
    assert_eq!(
        (plain(&kill, MKDIR + 1), plain(&kill, READ)),
        (RET_KILL_PROCESS, ALLOW)
    );
}

/// Operator, values, arguments that pass and arguments that do not.
type Case = (&'static str, u64, u64, &'static [u32], &'static [u32]);

/// Each operator at its edges, arguments being 32 bits wide and a profile's values 64.
#[test]
fn every_operator() {
    let tested = |op: &str, value: u64, two: u64| {
        filter(serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_ARM"],
            "syscalls": [{ "names": ["personality"], "action": "SCMP_ACT_ALLOW",
                           "args": [{ "index": 3, "value": value, "valueTwo": two, "op": op }] }],
        }))
    };
    const BIG: u64 = 1 << 32;
    let cases: &[Case] = &[
        ("SCMP_CMP_EQ", 5, 0, &[5], &[4, 6, u32::MAX]),
        ("SCMP_CMP_EQ", 0xffff_ffff, 0, &[u32::MAX], &[0]),
        ("SCMP_CMP_EQ", BIG + 5, 0, &[], &[5]),
        ("SCMP_CMP_NE", 5, 0, &[4, 6], &[5]),
        ("SCMP_CMP_NE", BIG + 5, 0, &[4, 5], &[]),
        ("SCMP_CMP_LT", 5, 0, &[0, 4], &[5, 0x8000_0000]),
        ("SCMP_CMP_LT", BIG, 0, &[0, u32::MAX], &[]),
        ("SCMP_CMP_LE", 5, 0, &[0, 5], &[6]),
        ("SCMP_CMP_LE", 0xffff_ffff, 0, &[0, u32::MAX], &[]),
        ("SCMP_CMP_GE", 5, 0, &[5, u32::MAX], &[4]),
        ("SCMP_CMP_GE", BIG, 0, &[], &[u32::MAX]),
        ("SCMP_CMP_GT", 5, 0, &[6], &[5]),
        ("SCMP_CMP_GT", 0xffff_ffff, 0, &[], &[u32::MAX]),
        (
            "SCMP_CMP_MASKED_EQ",
            0xf0,
            0x30,
            &[0x30, 0x3f, 0xf3f],
            &[0x40, 0x70],
        ),
        ("SCMP_CMP_MASKED_EQ", BIG + 0xf0, 0x30, &[0x30], &[0x40]),
        ("SCMP_CMP_MASKED_EQ", 0x7e02_0000, 0, &[0, 0x11], &[0x0002_0000]),
    ];
    for &(op, value, two, passes, fails) in cases {
        let filter = tested(op, value, two);
        let verdict = |arg: u32| run(&filter, PERSONALITY, [9, 9, 9, arg, 9, 9]);
        assert!(passes.iter().all(|&arg| verdict(arg) == ALLOW), "{op} {value:#x}");
        assert!(
            fails.iter().all(|&arg| verdict(arg) == ERRNO | 1),
            "{op} {value:#x}"
        );
    }
    let masked_high = tested("SCMP_CMP_MASKED_EQ", BIG, BIG);
    assert_eq!(run(&masked_high, PERSONALITY, [0; 6]), ERRNO | 1);
}

/// The rules for socket of the engines' usual profile.
#[test]
fn several_tests_and_several_rules() {
    let audit = |action: &str, errno: serde_json::Value, args: serde_json::Value| serde_json::json!({ "names": ["socket"], "action": action, "errnoRet": errno, "args": args });
    let eq =
        |index: u32, value: u32, op: &str| serde_json::json!({ "index": index, "value": value, "op": op });
    let filter = filter(serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            audit("SCMP_ACT_ALLOW", serde_json::Value::Null, serde_json::json!([eq(2, 9, "SCMP_CMP_NE")])),
            audit("SCMP_ACT_ALLOW", serde_json::Value::Null, serde_json::json!([eq(0, 16, "SCMP_CMP_NE")])),
            audit("SCMP_ACT_ERRNO", 22.into(), serde_json::json!([eq(0, 16, "SCMP_CMP_EQ"), eq(2, 9, "SCMP_CMP_EQ")])),
            // The same argument twice: either.
            { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
              "args": [eq(0, 0, "SCMP_CMP_EQ"), eq(0, 8, "SCMP_CMP_EQ")] },
            // Without tests overrides.
            { "names": ["mkdir"], "action": "SCMP_ACT_KILL", "args": [eq(1, 7, "SCMP_CMP_EQ")] },
            { "names": ["mkdir"], "action": "SCMP_ACT_ALLOW" },
        ],
    }));
    assert_eq!(run(&filter, SOCKET, [16, 0, 9, 0, 0, 0]), ERRNO | 22);
    assert_eq!(run(&filter, SOCKET, [16, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(run(&filter, SOCKET, [2, 0, 9, 0, 0, 0]), ALLOW);
    let personality = [0, 8, 4].map(|p| run(&filter, PERSONALITY, [p, 0, 0, 0, 0, 0]));
    assert_eq!(personality, [ALLOW, ALLOW, ENOSYS]);
    assert_eq!(run(&filter, MKDIR, [0, 7, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn a_profile_for_the_hosts_machine() {
    let names = ["read", "stat", "mmap", "futex", "lseek", "setuid", "exit"];
    let allow = filter(serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    }));
    for number in [
        READ,
        STAT64,
        MMAP2,
        FUTEX_TIME64,
        LLSEEK,
        SETUID32,
        SET_TLS,
        0xf0002,
    ] {
        assert_eq!(plain(&allow, number), ALLOW, "{number}");
    }
    assert_eq!(plain(&allow, MKDIR), ERRNO | 1);
    let deny = filter(serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            { "names": ["setuid", "stat"], "action": "SCMP_ACT_ERRNO" },
            { "names": ["stat64"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["lseek"], "action": "SCMP_ACT_ERRNO",
              "args": [{ "index": 2, "value": 1, "op": "SCMP_CMP_EQ" }] },
            { "names": ["mmap"], "action": "SCMP_ACT_ERRNO",
              "args": [{ "index": 2, "value": 4, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ" }] },
        ],
    }));
    assert_eq!(
        (plain(&deny, SETUID), plain(&deny, SETUID32)),
        (ERRNO | 1, ERRNO | 1)
    );
    // What the profile says itself counts.
    assert_eq!(plain(&deny, STAT64), ALLOW);
    // _llseek has its arguments elsewhere: what cannot be told apart is denied.
    assert_eq!(plain(&deny, LLSEEK), ERRNO | 1);
    assert_eq!(run(&deny, MMAP2, [0, 0, 4, 0, 0, 0]), ERRNO | 1);
    assert_eq!(run(&deny, MMAP2, [0, 0, 3, 0, 0, 0]), ALLOW);
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    let one = |rule: serde_json::Value| serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
    let arg = |index: u32| serde_json::json!([{ "index": index, "value": 1, "op": "SCMP_CMP_EQ" }]);
    for (profile_text, part) in [
        (
            one(serde_json::json!({ "names": ["read"], "action": "SCMP_ACT_NOTIFY" })),
            "SCMP_ACT_NOTIFY",
        ),
        (
            one(serde_json::json!({ "names": ["read"], "action": "SCMP_ACT_ERRNO", "args": arg(6) })),
            "argument 6",
        ),
        (
            one(serde_json::json!({ "names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 65536 })),
            "more than 65535",
        ),
        (
            one(serde_json::json!({ "names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 1 })),
            "means nothing",
        ),
        (
            serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_AARCH64"] }),
            "none of the architectures",
        ),
        (
            serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x" }),
            "listenerPath",
        ),
    ] {
        let error = compile(&profile(profile_text)).map(|_| ()).expect_err(part);
        assert!(error.contains(part), "{error}");
    }
}

/// The table's names are calls: ARM's are in the system layer, and x86-64's not under the other name.
#[test]
fn counterparts_exist() {
    for (host, arm, _) in COUNTERPARTS {
        assert!(number(arm).is_some(), "{arm}");
        assert_ne!(host, arm);
    }
}
