//! Direct exits: linking is one store of a displacement, unlinking is one store that leads back to the exit's stub.

use super::arena::Arena;
use super::blocks::{BlockId, Blocks, NO_EXIT};
use crate::x64::code::Code;

/// An exit of a placed block. Offsets are the arena's.
#[derive(Clone, Copy, Debug)]
pub struct LinkSite {
    /// Block that it leaves.
    pub from: BlockId,
    /// The displacement's place, and where it points while unlinked.
    patch: u32,
    stub: u32,
    /// Guest address with the T bit.
    pub target: u32,
    /// Whether it leads straight to a block now.
    linked: bool,
    /// Next exit linked to the same block.
    next: u32,
}

/// All exits since the cache last started; an exit's identifier is its index.
#[derive(Default)]
pub struct Links {
    sites: Vec<LinkSite>,
}

impl Links {
    /// Records the exits of the block placed at `host` and writes their identifiers into its stubs.
    pub fn insert(&mut self, arena: &mut Arena, from: BlockId, host: u32, code: &Code) {
        for exit in &code.exits {
            let id = self.sites.len() as u32;
            arena.write(host + exit.id_imm, &id.to_le_bytes());
            self.sites.push(LinkSite {
                from,
                patch: host + exit.patch,
                stub: host + exit.stub,
                target: exit.target,
                linked: false,
                next: NO_EXIT,
            });
        }
    }

    /// The exit with identifier `id`.
    pub fn get(&self, id: u32) -> Option<&LinkSite> {
        self.sites.get(id as usize)
    }

    /// Makes exit `id` jump straight to the live block `to`. False if it already did so.
    pub fn link(&mut self, arena: &mut Arena, blocks: &mut Blocks, id: u32, to: BlockId) -> bool {
        let block = blocks.get_mut(to);
        let site = &mut self.sites[id as usize];
        if site.linked || block.dead {
            return false;
        }
        site.linked = true;
        site.next = block.incoming;
        block.incoming = id;
        arena.store32(site.patch, block.host.wrapping_sub(site.patch + 4));
        true
    }

    /// Leads every exit linked to `to` back to its own stub.
    pub fn unlink_incoming(&mut self, arena: &mut Arena, blocks: &mut Blocks, to: BlockId) {
        let block = blocks.get_mut(to);
        let mut id = std::mem::replace(&mut block.incoming, NO_EXIT);
        while id != NO_EXIT {
            let site = &mut self.sites[id as usize];
            arena.store32(site.patch, site.stub.wrapping_sub(site.patch + 4));
            site.linked = false;
            id = std::mem::replace(&mut site.next, NO_EXIT);
        }
    }

    pub fn len(&self) -> usize {
        self.sites.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Links::default();
    }
}
