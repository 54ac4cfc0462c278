//! A full fence between two sides, of which the one that comes often pays nothing.
//!
//! Each side writes, fences, and reads what the other writes; of the two at least one must see the
//! other (Dekker's pattern). With a fence of the processor on both sides each pays some nanoseconds.
//! Here the rare side asks the kernel to have every running thread of the process fence
//! (`membarrier`), so that the frequent side has only to keep the compiler from reordering: see Dice,
//! Huang, Yang, "Asymmetric Dekker synchronization"; Goldblatt, "Asymmetric fences" (WG21 P1202R5,
//! 2022); and membarrier(2).
//!
//! Where there is no such call (another system than Linux, a kernel before 4.14, a sandbox), both
//! sides fence by themselves. So they do in models, which show that it is fences of this kind that
//! are needed; that the kernel's is one, the test below shows.

use crate::sync::{Ordering, fence, mutant};

/// How both sides of one place fence. It is chosen before anybody can reach that place, and stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    by_kernel: bool,
}

impl Fence {
    pub(crate) fn new() -> Self {
        Self { by_kernel: kernel::is_ready() }
    }

    /// For the side that comes often.
    #[inline]
    pub(crate) fn frequent(self) {
        // ORDERING: SeqCst, what a fence must be to order a write before a read.
        if self.by_kernel {
            std::sync::atomic::compiler_fence(Ordering::SeqCst);
        } else if !mutant("frequent-without-fence") {
            fence(Ordering::SeqCst);
        }
    }

    /// For the side that comes rarely: some microseconds.
    pub(crate) fn rare(self) {
        // ORDERING: SeqCst, as above.
        if self.by_kernel {
            kernel::fence_all_threads();
        } else if !mutant("rare-without-fence") {
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
mod kernel {
    use std::sync::OnceLock;
    use std::time::Duration;

    use rustix::thread::{MembarrierCommand, membarrier};

    /// Whether `fence_all_threads` will work: the process says once that it is going to call it.
    pub(super) fn is_ready() -> bool {
        static READY: OnceLock<bool> = OnceLock::new();
        *READY.get_or_init(|| {
            membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
                && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
        })
    }

    pub(super) fn fence_all_threads() {
        if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            // A sandbox that came after the first call. What a processor wrote is seen by the others
            // within microseconds anyway: after this everything from before it is.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(not(all(target_os = "linux", not(loom))))]
mod kernel {
    pub(super) const fn is_ready() -> bool {
        false
    }

    pub(super) const fn fence_all_threads() {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// One side writes a count, fences, and reads the round, over and over; the other writes each
    /// round, fences, and reads the count. In how many rounds neither saw the other: a count came
    /// after the one that was read, and yet saw an older round.
    ///
    /// Without either fence these are some in a thousand, and without the kernel's nearly all.
    fn misses(fence: Fence, rounds: u32) -> usize {
        // Apart, so that a write waits for its cache line.
        #[derive(Default)]
        #[repr(align(128))]
        struct Place(AtomicU32);
        let (count, round) = (Place::default(), Place::default());
        // ORDERING: Relaxed, so that nothing but the fences orders a side's write and its read.
        std::thread::scope(|scope| {
            // The last count that had not seen each round.
            let blind = scope.spawn(|| {
                let mut blind = Vec::new();
                for now in 1.. {
                    // ORDERING: as above.
                    count.0.store(now, Ordering::Relaxed);
                    fence.frequent();
                    let seen = round.0.load(Ordering::Relaxed) as usize;
                    blind.resize(seen.max(blind.len()), now - 1);
                    if seen == rounds as usize {
                        break;
                    }
                }
                blind
            });
            let seen = (1..=rounds).map(|now| {
                // ORDERING: as above.
                round.0.store(now, Ordering::Relaxed);
                fence.rare();
                let seen = count.0.load(Ordering::Relaxed);
                let mut tries = 0_u32;
                while count.0.load(Ordering::Relaxed) < seen + 8 && now < rounds {
                    tries += 1;
                    if tries.is_multiple_of(1024) {
                        std::thread::yield_now();
                    }
                }
                seen
            });
            let seen: Vec<u32> = seen.collect();
            let blind = blind.join().unwrap();
            assert_eq!(seen.len(), blind.len());
            seen.iter().zip(blind).filter(|&(seen, blind)| blind > *seen).count()
        })
    }

    #[test]
    fn of_two_sides_one_sees_the_other_with_fences_of_their_own() {
        assert_eq!(misses(Fence { by_kernel: false }, 2_000), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn of_two_sides_one_sees_the_other_with_the_kernels_fence() {
        if Fence::new().by_kernel {
            assert_eq!(misses(Fence { by_kernel: true }, 2_000), 0);
        }
    }

    /// Else a hit would cost a fence of the processor, and no other test would know.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_fences_where_it_can() {
        use rustix::thread::{MembarrierQuery, membarrier_query};
        let both = MembarrierQuery::PRIVATE_EXPEDITED | MembarrierQuery::REGISTER_PRIVATE_EXPEDITED;
        assert_eq!(Fence::new().by_kernel, membarrier_query().contains(both));
    }
}
