//! What a power loss may leave of a disk.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::world::{Entry, Inode, Moment, PIECE, State};

/// A small generator (xorshift64*, Vigna 2016): the same seed, the same search.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }
}

/// A disk after a crash: everything on it is durable.
pub(super) type Image = BTreeMap<String, Vec<u8>>;

/// What became of one piece that was not flushed.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Old,
    New,
    Zero,
    Garbage,
    /// A block that was freed and still holds what it held.
    Freed,
}

const FATES: [Fate; 5] = [Fate::New, Fate::Old, Fate::Zero, Fate::Garbage, Fate::Freed];

/// Up to `limit` disks that a crash at `moment` may leave, the plain ones first. The same disk
/// counts again when more was promised: it must hold that, too.
pub(super) fn after_crash(
    moment: &Moment,
    limit: usize,
    random: &mut Random,
    seen: &mut HashSet<u64>,
) -> Vec<Image> {
    let mut images = Vec::new();
    for attempt in 0..limit * 2 {
        if images.len() == limit {
            break;
        }
        let image = choose(&moment.state, attempt, random);
        let mut hasher = DefaultHasher::new();
        (&image, moment.oracle.extent()).hash(&mut hasher);
        if seen.insert(hasher.finish()) {
            images.push(image);
        }
    }
    images
}

/// The first attempts are the corners: all new, nothing new, everything of one kind.
fn choose(state: &State, attempt: usize, random: &mut Random) -> Image {
    let names = match attempt {
        0 => state.names.clone(),
        1 => state.disk_names.clone(),
        _ => names(state, random),
    };
    // Without its own entry the folder may be gone with all that is in it.
    if !state.folder && attempt % 4 == 1 {
        return Image::new();
    }
    let mut content = |inode: usize| {
        let file = &state.inodes[inode];
        match attempt {
            0 => file.cache.clone(),
            1 => file.disk.clone(),
            _ => {
                let older = random.below(file.before_cut.len() + 1);
                let file = file.before_cut.get(older).unwrap_or(file);
                torn(file, attempt, &state.freed, random)
            }
        }
    };
    names.into_iter().map(|(name, inode)| (name, content(inode))).collect()
}

/// Any part of the changes that were not flushed, each whole, in their order.
fn names(state: &State, random: &mut Random) -> BTreeMap<String, usize> {
    let mut names = state.disk_names.clone();
    for entry in &state.pending {
        if random.below(2) == 0 {
            continue;
        }
        match entry {
            Entry::Make(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Entry::Remove(name) => {
                names.remove(name);
            }
            Entry::Rename(from, to) => {
                // A rename takes what it renames with it: its own making may not have come first.
                let made = state.pending.iter().find_map(|entry| match entry {
                    Entry::Make(name, inode) if name == from => Some(*inode),
                    _ => None,
                });
                if let Some(inode) = names.remove(from).or(made) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
    names
}

/// A file of which some of the unflushed pieces are as they should be.
fn torn(file: &Inode, attempt: usize, freed: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let (low, high) =
        (file.disk.len().min(file.cache.len()), file.disk.len().max(file.cache.len()));
    let len = match random.below(3) {
        0 => file.cache.len(),
        1 => file.disk.len(),
        _ => (low + random.below((high - low) / PIECE + 1) * PIECE).min(high),
    };
    let mut bytes = file.disk.clone();
    bytes.resize(len, 0);
    for &piece in &file.dirty {
        let range = piece * PIECE..((piece + 1) * PIECE).min(file.cache.len()).min(len);
        if range.is_empty() {
            continue;
        }
        let fate = if attempt < 2 + FATES.len() {
            FATES[attempt - 2]
        } else {
            FATES[random.below(FATES.len())]
        };
        // A flushed byte is not damaged by a later write beside it, nor by one of itself that does
        // not come through: a sector is old or new.
        let flushed = file.disk.len().min(len);
        let fresh = range.start.max(flushed)..range.end.max(flushed);
        match fate {
            Fate::New => bytes[range.clone()].copy_from_slice(&file.cache[range]),
            Fate::Garbage => {
                for byte in &mut bytes[fresh] {
                    *byte = random.byte();
                }
            }
            Fate::Freed if !freed.is_empty() => {
                let block = &freed[random.below(freed.len())];
                for at in fresh {
                    bytes[at] = block.get(at).copied().unwrap_or(0);
                }
            }
            Fate::Old | Fate::Zero | Fate::Freed => {}
        }
    }
    bytes
}

/// The disk that is found after the crash.
pub(super) fn found(image: &Image) -> State {
    let mut state = State { folder: true, ..State::default() };
    for (name, bytes) in image {
        let (cache, disk) = (bytes.clone(), bytes.clone());
        state.inodes.push(Inode { cache, disk, ..Inode::default() });
        state.names.insert(name.clone(), state.inodes.len() - 1);
    }
    state.disk_names = state.names.clone();
    state
}
