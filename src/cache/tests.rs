//! The cache with hand-assembled blocks: placing, linking, tables, invalidation, starting again.
#![allow(clippy::single_range_in_vec_init, reason = "lists of one range are meant")]

use super::*;
use crate::x64::code::{Exit, FlagsAt};

/// A function that returns `value` after going through its one exit if that is linked; as unlinked, the exit's stub
/// returns its identifier.
///
/// ```text
///  0: nop; nop; nop; jmp rel32     (displacement at 4)
///  8: mov eax, id; ret             (stub; identifier at 9)
/// ```
fn jumper(target: u32) -> Code {
    let mut bytes = vec![0x90, 0x90, 0x90, 0xe9, 0, 0, 0, 0];
    bytes.extend([0xb8, 0, 0, 0, 0, 0xc3]);
    Code {
        bytes,
        exits: vec![Exit {
            patch: 4,
            stub: 8,
            id_imm: 9,
            target,
        }],
        rows: vec![Row {
            host: 0,
            pc: 0x8000,
            thumb: false,
            it: 0,
            boundary: true,
            glue: false,
            flags: FlagsAt::default(),
        }],
        packed_rows: Vec::new(),
        fp_rows: Vec::new(),
        guest_insns: 1,
        simd_insns: 0,
        hot_bytes: 8,
        pool: 14,
        early: Vec::new(),
        loop_head: 0,
    }
}

/// `mov eax, value; ret`.
fn constant(value: u32) -> Code {
    let mut bytes = vec![0xb8];
    bytes.extend(value.to_le_bytes());
    bytes.push(0xc3);
    Code {
        bytes,
        ..Code::default()
    }
}

fn call(cache: &Cache, id: BlockId) -> u32 {
    // SAFETY: the blocks of these tests are complete functions of this type.
    let f: extern "C" fn() -> u32 = unsafe { std::mem::transmute(cache.entry(id) as *const ()) };
    f()
}

fn new_cache() -> Cache {
    // The stubs: something at offset 0 that no block may overlap.
    Cache::new(None, &[0xf4; 24]).unwrap()
}

#[test]
fn links_lead_to_the_target_until_it_dies() {
    let mut cache = new_cache();
    let a = cache
        .insert(Location::new(0x8000, false), &jumper(0x9001), &[0x8000..0x8004])
        .unwrap();
    assert_eq!(call(&cache, a), 0, "unlinked: the exit's identifier");
    let target = cache.exit_target(0).unwrap();
    assert_eq!(target, Location::new(0x9000, true));
    let b = cache.insert(target, &constant(77), &[0x9000..0x9002]).unwrap();
    cache.link(0, b);
    assert_eq!(call(&cache, a), 77);
    assert_eq!(cache.invalidate(0x9002..0x9003), 0, "the byte after");
    assert_eq!(cache.invalidate(0x9001..0x9002), 1);
    assert_eq!(call(&cache, a), 0, "back to the stub");
    assert_eq!(cache.find(target), None);
    let host = cache.block(b).host;
    assert_eq!(cache.dead_entry(host), Some(target));
    assert_eq!(cache.bytes(b)[0], INT3);
    let c = cache.insert(target, &constant(78), &[0x9000..0x9002]).unwrap();
    cache.link(0, c);
    assert_eq!(call(&cache, a), 78);
}

#[test]
fn tables_are_filled_on_demand_and_emptied_by_invalidation() {
    let mut cache = new_cache();
    let loc = Location::new(0x8000, true);
    let soft = Location {
        fp: FpKey(0x80),
        ..loc
    };
    cache.table(soft.fp).unwrap();
    for l in [loc, soft] {
        let id = cache.insert(l, &constant(1), &[0x8000..0x8004]).unwrap();
        cache.fill_table(id);
    }
    let host = |c: &Cache, i: usize| c.tables[i].1.get(0x8001);
    assert!(host(&cache, 0).is_some() && host(&cache, 1).is_some());
    assert_ne!(host(&cache, 0), host(&cache, 1));
    assert_eq!(cache.invalidate(0..1 << 32), 2);
    assert_eq!((host(&cache, 0), host(&cache, 1)), (None, None));
    let it = Location { it: 4, ..loc };
    let id = cache.insert(it, &constant(1), &[0x8000..0x8004]).unwrap();
    cache.fill_table(id);
    assert_eq!(host(&cache, 0), None, "not into an IT block");
}

#[test]
fn invalidation_is_by_byte_and_covers_blocks_over_two_pages() {
    let mut cache = new_cache();
    let mut at = |pc: u32, end: u64| {
        let range = u64::from(pc)..end;
        cache
            .insert(Location::new(pc, false), &constant(pc), &[range])
            .unwrap()
    };
    let (a, b, c) = (at(0x8ff8, 0x9004), at(0x9004, 0x9008), at(0xffff_fffc, 1 << 32));
    assert!(cache.has_code(0x8000) && cache.has_code(0x9fff) && !cache.has_code(0xa000));
    assert_eq!(cache.invalidate(0x9000..0x9001), 1);
    assert!(cache.block(a).dead && !cache.block(b).dead);
    assert_eq!(cache.invalidate(0x8000..0x9004), 0);
    assert_eq!(cache.invalidate(pages::widen(0xffff_f000, 0)), 1);
    assert!(cache.block(c).dead);
    assert_eq!(cache.invalidate(pages::widen(0x9006, 0x9007)), 1);
}

#[test]
fn a_change_during_translation_is_noticed() {
    let mut cache = new_cache();
    cache.begin_translation();
    cache.invalidate(0x9000..0x9010);
    assert!(cache.end_translation(&[0x8000..0x9000, 0x9010..0x9020]));
    cache.begin_translation();
    cache.invalidate(0x9000..0x9010);
    assert!(!cache.end_translation(&[0x8000..0x8004, 0x900f..0x9020]));
}

#[test]
fn host_offsets_lead_to_blocks_and_rows() {
    let mut cache = new_cache();
    let a = cache
        .insert(Location::new(0x8000, false), &jumper(0), &[])
        .unwrap();
    let b = cache
        .insert(Location::new(0x8004, false), &constant(0), &[])
        .unwrap();
    let (ha, hb) = (cache.block(a).host, cache.block(b).host);
    assert!(ha >= 24);
    assert_eq!(cache.at_host(0), None);
    assert_eq!((cache.at_host(ha), cache.at_host(ha + 13)), (Some(a), Some(a)));
    assert_eq!((cache.at_host(ha + 14), cache.at_host(hb)), (None, Some(b)));
    assert_eq!(cache.row_at(a, ha + 3).unwrap().pc, 0x8000);
    assert!(cache.row_at(b, hb).is_none());
}

#[test]
fn a_block_that_traps_often_gives_way_to_a_soft_one() {
    let mut cache = new_cache();
    let loc = Location::new(0x8000, false);
    let id = cache.insert(loc, &constant(1), &[]).unwrap();
    // Seldom enough, and it stays as it is.
    for i in 0..10 * u64::from(TRAPS_BEFORE_SOFT) {
        cache.count_trap(id, i * 10_000);
    }
    for i in 1..u64::from(TRAPS_BEFORE_SOFT) {
        cache.count_trap(id, 2_000_000 + i * 2_000);
    }
    assert!(!cache.is_soft(loc) && cache.find(loc).is_some());
    cache.count_trap(id, 2_020_000);
    assert!(cache.is_soft(loc) && cache.find(loc).is_none());
}

#[test]
fn starting_again_and_renewing() {
    let mut cache = new_cache();
    let loc = Location::new(0x8000, false);
    let used = cache.used();
    for _ in 0..3 {
        let a = cache.insert(loc, &jumper(0x9000), &[0x8000..0x8004]).unwrap();
        cache.fill_table(a);
        cache.retire();
        assert_eq!(cache.find(loc), None);
        assert!(cache.dead_entry(cache.block(a).host).is_some());
        cache.restart();
        assert_eq!(cache.used(), used);
        assert!(!cache.has_code(0x8000));
    }
    let place = cache.place();
    cache.renew(&[0xf4; 24]).unwrap();
    assert_eq!(cache.place(), place);
    let a = cache.insert(loc, &constant(5), &[0x8000..0x8004]).unwrap();
    assert_eq!(call(&cache, a), 5);
}

#[test]
fn a_copy_of_the_code_is_adopted_in_place() {
    let mut cache = new_cache();
    let loc = Location::new(0x8000, false);
    let a = cache.insert(loc, &constant(5), &[0x8000..0x8004]).unwrap();
    let code = cache.copy_code().unwrap();
    let at = cache.block(a).host;
    cache.arena.store32(at + 1, 6);
    assert_eq!(call(&cache, a), 6);
    cache.adopt_code(&code).unwrap();
    assert_eq!((cache.find(loc), call(&cache, a)), (Some(a), 5));
}

#[test]
fn a_full_arena_says_so() {
    let mut cache = new_cache();
    let mut code = constant(1);
    code.bytes.resize(cache.place().len as usize / 2, 0x90);
    assert!(cache.insert(Location::new(0, false), &code, &[]).is_ok());
    assert_eq!(cache.insert(Location::new(4, false), &code, &[]), Err(Full));
    assert!(cache.insert(Location::new(0, false), &constant(1), &[]).is_ok());
    assert!(cache.is_mostly_dead());
}
